//! Mainstay counts: text and messages to tokens, exactly or estimated with a stated error.
