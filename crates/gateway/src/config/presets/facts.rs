//! What is known of a provider, and who says so.

/// One thing known of a provider.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Fact {
    pub(super) says: &'static str,
    pub(super) source: Source,
}

/// Who says a thing, and when it was read. What only others report may have changed; what nobody was
/// found to say is marked, and nothing is decided by it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// The provider itself: its documentation, its package or its code.
    Own(&'static str),
    /// What others got from it and published.
    Reported(&'static str),
    /// Nothing was found that could be checked; why it stands here all the same.
    Unverified(&'static str),
}

/// What is known of a provider. Where it is acted on stands in `docs/providers.md`.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Facts {
    /// Who says where it is and how its key is sent.
    pub(super) place: Source,
    /// Names and units of the headers that tell limits.
    pub(in crate::config) limits: Fact,
    /// What its errors look like.
    pub(in crate::config) errors: Fact,
    /// Parameters that it refuses, and that are passed on because they change the answer.
    pub(in crate::config) refuses: Fact,
    /// Where its windows are to be had, and who says those that are built in.
    pub(super) windows: Fact,
}

const NOTHING: Fact = Fact { says: "", source: Source::Unverified("nothing was read of it") };

impl Facts {
    /// Nothing is known.
    pub(super) const NONE: Facts = Facts {
        place: Source::Unverified("from its documentation, not read again"),
        limits: NOTHING,
        errors: NOTHING,
        refuses: NOTHING,
        windows: NOTHING,
    };
}

/// The provider says so itself.
pub(super) const fn own(says: &'static str, source: &'static str) -> Fact {
    Fact { says, source: Source::Own(source) }
}

/// Others report it.
pub(super) const fn reported(says: &'static str, source: &'static str) -> Fact {
    Fact { says, source: Source::Reported(source) }
}

/// Nobody was found to say it.
pub(super) const fn unverified(says: &'static str, why: &'static str) -> Fact {
    Fact { says, source: Source::Unverified(why) }
}
