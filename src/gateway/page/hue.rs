//! The colours of services and users.

/// Returns one of eight colours, always the same for a service or a user.
pub(super) fn hue(id: &str) -> u8 {
    id.bytes()
        .fold(7_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte))
        % 8
}
