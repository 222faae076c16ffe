//! Bars on standard error that say how far a long command is; nothing where that is no terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// One bar. It goes away when it is dropped.
pub struct Bar(ProgressBar);

impl Bar {
    /// For so many epochs.
    pub fn epochs(epochs: u64) -> Self {
        Self::new(epochs, "{bar:30} {msg}, {eta} left")
    }

    /// For so many bytes.
    pub fn bytes(bytes: u64) -> Self {
        Self::new(bytes, "{bar:30} {bytes} of {total_bytes} read, {eta} left")
    }

    fn new(length: u64, template: &str) -> Self {
        let style = ProgressStyle::with_template(template).expect("the template is well-formed");
        Self(ProgressBar::new(length).with_style(style))
    }

    /// How far it is, and what to say of it.
    pub fn set(&self, position: u64, message: String) {
        self.0.set_message(message);
        self.0.set_position(position);
    }

    /// How far it is of how much.
    pub fn set_of(&self, position: u64, length: u64) {
        self.0.set_length(length);
        self.0.set_position(position);
    }

    /// Takes it away.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.finish();
    }
}
