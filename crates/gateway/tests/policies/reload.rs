//! A new configuration while calls are under way: they keep theirs, the next ones have the new one.

use mainstay_gateway::engine_spec;
use mainstay_gateway::settings::Settings;

use crate::script::{Cast, Say, body, chat, gateway, sound};

#[test]
fn a_changed_route_holds_for_new_calls_and_calls_under_way_keep_theirs() {
    // The call under way fails late, so that its retry comes after the change.
    let cast = Cast::new(&[&[Say::Slow(0), Say::Slow(400), Say::Slow(0)], &[]]);
    let route = |target: &str| format!("[[route]]\nmodel = \"m\"\ntargets = [\"{target}\"]\n");
    let config = |target: &str| sound(&format!("{}{}", cast.sections(""), route(target)));
    let front = gateway(&config("a"));
    assert_eq!(chat(&front, false).header("x-mainstay-provider"), Some("a"));
    let mut under_way = front.connect();
    under_way.send(&front.post_bytes("/v1/chat/completions", "", &body(false)));
    crate::support::until("the call to be with the provider", || cast.told().len() == 2);
    let new = config("b");
    front.gateway.reload(Settings::read(&new).expect("sound"), engine_spec(&new, None));
    assert_eq!(chat(&front, false).header("x-mainstay-provider"), Some("b"));
    let old = under_way.answer();
    assert_eq!((old.status, old.header("x-mainstay-provider")), (200, Some("a")));
    assert_eq!(cast.order(), "aab");
}

#[test]
fn a_changed_policy_holds_for_new_calls_and_not_for_a_retry_under_way() {
    let cast = Cast::new(&[&[Say::Failed, Say::Failed, Say::Well, Say::Failed]]);
    let waits = "[policy.retry]\ntransient_base = \"300ms\"\n";
    let config = |policy: &str| cast.config(policy, "");
    let front = gateway(&config(waits));
    let mut under_way = front.connect();
    under_way.send(&front.post_bytes("/v1/chat/completions", "", &body(false)));
    crate::support::until("the first attempt to fail", || cast.told().len() == 1);
    let none = config(
        "[policy.retry]\nbudget_capacity = 0\nattempts_max = 1\nattempts_per_call_max = 1\n",
    );
    front.gateway.reload(Settings::read(&none).expect("sound"), engine_spec(&none, None));
    assert_eq!(under_way.answer().status, 200, "it goes on with the attempts it began with");
    assert_eq!(chat(&front, false).status, 500, "a new call has one attempt");
    assert_eq!(cast.order(), "aaaa");
}
