//! Mainstay serves: the drop-in HTTP gateway.
