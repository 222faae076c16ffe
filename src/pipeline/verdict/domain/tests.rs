use super::*;

/// Settings under which nothing is left out.
pub(crate) fn off() -> Settings {
    Settings { enabled: false, ..usual() }
}

/// The settings of `config/default.toml`.
pub(crate) fn usual() -> Settings {
    Settings {
        enabled: true,
        template_share: 0.01,
        template_blocks: 20,
        unknown_share_max: 0.5,
        far_share_max: 0.9,
        mute: Vec::new(),
    }
}
