//! Which seed a thread was running when it panicked.
//!
//! A panic anywhere in the application must name its seed, also where panics end the process.

use std::cell::RefCell;
use std::panic;
use std::sync::Once;

thread_local! {
    static COMMAND: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs something; should it panic, the command that repeats it is printed first.
pub fn with<R>(command: String, run: impl FnOnce() -> R) -> R {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if let Some(command) = COMMAND.take() {
                eprintln!("this seed panics: {command}");
            }
            usual(info);
        }));
    });
    COMMAND.replace(Some(command));
    let result = run();
    COMMAND.take();
    result
}
