//! Users of this machine, by name or number.

use super::options::OptionError;

/// The user ids of a list with commas between, of names or numbers; read once, at start.
///
/// # Errors
/// Names the key and the user that there is not.
pub fn user_ids(key: &str, list: &str) -> Result<Vec<u32>, OptionError> {
    list.split(',').map(|name| user_id(key, name)).collect()
}

fn user_id(key: &str, name: &str) -> Result<u32, OptionError> {
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let known = match plain {
        true => name.parse().ok(),
        false => nix::unistd::User::from_name(name)
            .ok()
            .flatten()
            .map(|user| user.uid.as_raw()),
    };
    known
        .ok_or_else(|| OptionError::new(key, format!("there is no user '{}'", name.escape_debug())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_named_or_numbered() {
        assert_eq!(user_ids("admins", "root,4711"), Ok(vec![0, 4711]));
        for wrong in ["", "root,", "nobody-of-that-name", "-1", "99999999999"] {
            let error = user_ids("admins", wrong).unwrap_err().to_string();
            assert!(
                error.starts_with("option admins: there is no user"),
                "{error}"
            );
        }
    }
}
