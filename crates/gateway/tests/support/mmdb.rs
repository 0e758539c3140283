//! A small MaxMind database, written for a test. Format: MaxMind DB file format 2.0, read 2026-11.

use std::net::IpAddr;

/// One slot of a node of the search tree.
#[derive(Clone, Copy)]
enum Slot {
    Empty,
    Node(usize),
    Country(usize),
}

/// The bytes of a database in which each range has its country.
pub(crate) fn database(ranges: &[(&str, &str)]) -> Vec<u8> {
    let mut nodes = vec![[Slot::Empty; 2]];
    for (index, (range, _)) in ranges.iter().enumerate() {
        let (bits, length) = bits_of(range);
        let mut node = 0;
        for depth in 0..length {
            let side = usize::from(bits >> (127 - depth) & 1 == 1);
            if depth + 1 == length {
                nodes[node][side] = Slot::Country(index);
            } else if let Slot::Node(next) = nodes[node][side] {
                node = next;
            } else {
                nodes.push([Slot::Empty; 2]);
                let next = nodes.len() - 1;
                nodes[node][side] = Slot::Node(next);
                node = next;
            }
        }
    }
    let mut data = Vec::new();
    let mut places = Vec::new();
    for (_, country) in ranges {
        places.push(data.len());
        map(&mut data, 1);
        text(&mut data, "country");
        map(&mut data, 1);
        text(&mut data, "iso_code");
        text(&mut data, country);
    }
    let mut file = Vec::new();
    for slot in nodes.iter().flatten() {
        let value = match slot {
            Slot::Empty => nodes.len(),
            Slot::Node(node) => *node,
            Slot::Country(index) => nodes.len() + 16 + places[*index],
        };
        file.extend_from_slice(&u32::try_from(value).expect("a small tree").to_be_bytes()[1..]);
    }
    file.extend_from_slice(&[0; 16]);
    file.extend_from_slice(&data);
    metadata(&mut file, nodes.len());
    file
}

fn metadata(file: &mut Vec<u8>, nodes: usize) {
    file.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    map(file, 9);
    for (name, number) in
        [("binary_format_major_version", 2_u8), ("binary_format_minor_version", 0)]
    {
        text(file, name);
        file.extend_from_slice(&[(5 << 5) + 1, number]);
    }
    text(file, "build_epoch");
    file.extend_from_slice(&[1, 2, 1]);
    text(file, "database_type");
    text(file, "Test-Country");
    text(file, "description");
    map(file, 0);
    text(file, "ip_version");
    file.extend_from_slice(&[(5 << 5) + 1, 6]);
    text(file, "languages");
    file.extend_from_slice(&[0, 4]);
    text(file, "node_count");
    file.push((6 << 5) + 4);
    file.extend_from_slice(&u32::try_from(nodes).expect("a small tree").to_be_bytes());
    text(file, "record_size");
    file.extend_from_slice(&[(5 << 5) + 1, 24]);
}

fn map(to: &mut Vec<u8>, entries: u8) {
    to.push((7 << 5) + entries);
}

fn text(to: &mut Vec<u8>, text: &str) {
    let length = u8::try_from(text.len()).expect("short");
    if length < 29 {
        to.push((2 << 5) + length);
    } else {
        to.extend_from_slice(&[(2 << 5) + 29, length - 29]);
    }
    to.extend_from_slice(text.as_bytes());
}

/// A range's bits from the left, IPv4 in the lowest 32, and how many of them count.
fn bits_of(range: &str) -> (u128, u32) {
    let (address, length) = range.split_once('/').expect("CIDR");
    let length: u32 = length.parse().expect("a length");
    match address.parse().expect("an address") {
        IpAddr::V4(ip) => (u128::from(ip.to_bits()), length + 96),
        IpAddr::V6(ip) => (ip.to_bits(), length),
    }
}
