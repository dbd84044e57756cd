//! `ls`: what is in a folder of the server.

use super::report::print_json;
use super::{Failure, Run, Stop, output, unusable};
use crate::wire::Readable;
use crate::wire::files::{self as wire, Entry, Said};

/// Prints a line for each file and folder, as it comes.
pub fn ls(run: &mut Run<'_>, folder: Option<&[u8]>) -> Result<(), Stop> {
    let command = wire::list(folder);
    let command = command.map_err(|why| unusable(folder.unwrap_or_default(), why))?;
    let mut channel = run.channel()?;
    channel.send(&command, &run.interrupt)?;
    loop {
        let line = channel.line(0, &run.interrupt)?;
        if let Said::Ok(rest) = wire::said(&line) {
            if !rest.is_empty() {
                let (endpoint, rest) = (run.files.endpoint, Readable(rest));
                super::report::say(format_args!("{endpoint}: {rest}"));
            }
            return Ok(());
        }
        let Some(entry) = Entry::parse(&line) else {
            return Err(channel.refused(&line));
        };
        if !print(&entry, run.files.is_json)? {
            return Ok(());
        }
    }
}

/// False where nobody reads it any more.
fn print(entry: &Entry<'_>, is_json: bool) -> Result<bool, Failure> {
    if is_json {
        return print_json(&serde_json::json!({
            "name": String::from_utf8_lossy(entry.name),
            "bytes": entry.size,
            "time": entry.time,
            "folder": entry.is_folder,
        }));
    }
    let mut line = format!("{:>15}  {}  ", entry.size, utc(entry.time)).into_bytes();
    line.extend_from_slice(entry.name);
    if entry.is_folder {
        line.push(b'/');
    }
    line.push(b'\n');
    output::write_while_read(&output::shown(&line))
}

/// Seconds since 1970 as a date and a time of day in UTC: `2026-11-21 15:14:02`.
fn utc(time: i64) -> String {
    let (days, second) = (time.div_euclid(86_400), time.rem_euclid(86_400));
    // Years begin in March here, so that the day that some lack is the last of its year; 400 of
    // them have 146,097 days.
    let since = days.saturating_add(719_468);
    let (era, day) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = match month < 10 {
        true => (month + 3, 0),
        false => (month - 9, 1),
    };
    let year = era * 400 + year + later;
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!(
        "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{:02}",
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_written_as_a_date() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00"),
            (-1, "1969-12-31 23:59:59"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_795_274_042, "2026-11-21 15:14:02"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(utc(seconds), text);
        }
        utc(i64::MAX);
        utc(i64::MIN);
    }
}
