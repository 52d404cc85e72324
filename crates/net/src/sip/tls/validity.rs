//! Until when a certificate holds, read from its DER (RFC 5280 section 4.1).

use std::time::{Duration, SystemTime};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version, which a certificate of version 1 leaves out.
const VERSION: u8 = 0xa0;

/// The moment, to the second; none where nothing of the kind can be read.
pub(super) fn end(certificate: &[u8]) -> Option<SystemTime> {
    let (signed, _) = element(certificate, SEQUENCE)?;
    let (mut fields, _) = element(signed, SEQUENCE)?;
    if let Some((_, rest)) = element(fields, VERSION) {
        fields = rest;
    }
    // The serial number, the algorithm, who issued it.
    for kind in [INTEGER, SEQUENCE, SEQUENCE] {
        (_, fields) = element(fields, kind)?;
    }
    let (validity, _) = element(fields, SEQUENCE)?;
    let begin = |kind| element(validity, kind);
    let (_, end) = begin(UTC_TIME).or_else(|| begin(GENERALIZED_TIME))?;
    match (element(end, UTC_TIME), element(end, GENERALIZED_TIME)) {
        (Some((text, _)), _) => {
            let (year, rest) = (number(text.get(..2)?)?, text.get(2..)?);
            // Section 4.1.2.5.1.
            let century = if year < 50 { 2000 } else { 1900 };
            moment(century + year, rest)
        }
        (None, Some((text, _))) => moment(number(text.get(..4)?)?, text.get(4..)?),
        (None, None) => None,
    }
}

/// The content of the first element if it is of this kind, and what follows it.
fn element(octets: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = octets.split_first_chunk::<2>()?;
    if found != kind {
        return None;
    }
    let (length, rest) = match first {
        ..0x80 => (usize::from(first), rest),
        // More than 64 KiB has no certificate.
        0x81..=0x82 => {
            let (length, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            let fold = |sum, octet: &u8| sum << 8 | usize::from(*octet);
            (length.iter().fold(0, fold), rest)
        }
        0x80 | 0x83.. => return None,
    };
    rest.split_at_checked(length)
}

fn number(digits: &[u8]) -> Option<u64> {
    let is_digits = digits.iter().all(u8::is_ascii_digit);
    let fold = |sum, digit: &u8| sum * 10 + u64::from(digit - b'0');
    is_digits.then(|| digits.iter().fold(0, fold))
}

/// From the year and `MMDDHHMMSSZ`; both kinds of time are in UTC.
fn moment(year: u64, rest: &[u8]) -> Option<SystemTime> {
    let mut parts = rest.get(..10)?.chunks(2).map(number);
    let mut next = || parts.next().flatten();
    let (month, day, hour, minute, second) = (next()?, next()?, next()?, next()?, next()?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March have their odd day at the end.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = 365 * year + leap_days + (153 * month + 2) / 5 + day - 1;
    // Those from 1 March of the year 0 to 1 January 1970.
    let days = days.checked_sub(719_468)?;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element_of(kind: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[kind, 0x82], &length[..], content].concat()
    }

    fn certificate(version: bool, times: [(u8, &str); 2]) -> Vec<u8> {
        let times = times.map(|(kind, text)| element_of(kind, text.as_bytes()));
        let fields = [
            if version {
                element_of(VERSION, &[2, 1, 2])
            } else {
                Vec::new()
            },
            element_of(INTEGER, &[7]),
            element_of(SEQUENCE, &[]),
            element_of(SEQUENCE, &[1; 200]),
            element_of(SEQUENCE, &times.concat()),
        ];
        element_of(SEQUENCE, &element_of(SEQUENCE, &fields.concat()))
    }

    fn seconds(moment: Option<SystemTime>) -> Option<u64> {
        let since = moment?.duration_since(SystemTime::UNIX_EPOCH);
        Some(since.unwrap().as_secs())
    }

    #[test]
    fn the_end_is_read_in_both_forms() {
        let utc = (UTC_TIME, "260101000000Z");
        for (end, wanted) in [
            ((UTC_TIME, "261125221726Z"), 1_795_645_046),
            ((UTC_TIME, "700101000000Z"), 0),
            ((UTC_TIME, "280229120000Z"), 1_835_438_400),
            ((GENERALIZED_TIME, "20500101000000Z"), 2_524_608_000),
            ((GENERALIZED_TIME, "99991231235959Z"), 253_402_300_799),
        ] {
            for version in [true, false] {
                let certificate = certificate(version, [utc, end]);
                assert_eq!(seconds(super::end(&certificate)), Some(wanted), "{end:?}");
            }
        }
    }

    #[test]
    fn what_is_none_has_no_end_wherever_it_is_cut_off() {
        let whole = certificate(
            true,
            [(UTC_TIME, "260101000000Z"), (UTC_TIME, "26o125221726Z")],
        );
        assert_eq!(end(&whole), None);
        let whole = certificate(true, [(UTC_TIME, "260101000000Z"); 2]);
        for length in 0..whole.len() {
            assert_eq!(end(&whole[..length]), None);
        }
    }
}
