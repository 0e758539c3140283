//! Mainstay breaks: a provider that misbehaves on purpose, and the laboratory.
