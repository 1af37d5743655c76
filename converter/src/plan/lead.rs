//! Where bands begin: how many rows the first one of a map is shorter than the others.
//!
//! A window of three rows that is wanted for two rows of a result reads four: where its map is made in bands of two, these
//! are two bands if bands begin at odd rows, and parts of three if they begin at even ones. So a map may begin with a
//! shorter band, as its readers like it; and these are asked before, since where they begin is what they read.

use carafe::Window;

use super::net::Net;

/// The record of a tensor has seven bits for it.
const MOST: u8 = 127;

/// Nodes `first..end` get the leads that their readers among them like, the last one first. What is read elsewhere is there
/// as a whole, and begins with a whole band.
pub(super) fn choose(net: &mut Net<'_>, first: usize, end: usize) {
    for n in (first..end).rev() {
        net.demands[n].lead = best(net, n, end);
    }
}

/// The lead of node `n` with which the ring of its result is lowest; the least of equals.
fn best(net: &Net<'_>, n: usize, end: usize) -> u8 {
    let band = net.bands[n];
    let group = net.storage.place(n).group;
    // What lies in one ring begins in one slot; a reduction makes its result at once, as a state moves on.
    let need = &net.needs[n];
    if band < 2 || net.last_reader[n] >= end || net.storage.members(group) != [n] || need.consumes || need.state {
        return 0;
    }
    let users = net.storage.users(n);
    // Readers that take rows as they come leave none behind.
    let rows = |lead: u8| users.iter().map(|&u| held(net, n, u, lead)).max().unwrap_or(0);
    (0..band.min(MOST + 1)).min_by_key(|&lead| rows(lead)).unwrap_or(0)
}

/// Rows of node `n` that are there at most while node `reader` reads them.
fn held(net: &Net<'_>, n: usize, reader: usize, lead: u8) -> u32 {
    let demand = &net.demands[reader];
    if demand.consumes {
        return u32::from(net.bands[n]);
    }
    let (h, band) = (net.demands[n].h, u32::from(net.bands[n]));
    let windows = demand.inputs.iter().flatten().filter(|(t, ..)| usize::from(*t) == n).map(|(_, _, w)| w);
    let step = u16::from(demand.band.max(1));
    let mut most = 0;
    for window in windows {
        let mut y0 = 0;
        while y0 < demand.h {
            let less = if y0 == 0 { u16::from(demand.lead) } else { 0 };
            let y1 = y0.saturating_add(step - less.min(step - 1)).min(demand.h);
            most = most.max(there(window, (y0, y1), h, band, u32::from(lead)));
            y0 = y1;
        }
    }
    most
}

/// Rows that are there when rows `y0..y1` are made of them: from the first that is read to the end of the last one's band.
fn there(window: &Window, (y0, y1): (u16, u16), h: u16, band: u32, lead: u32) -> u32 {
    let (from, to) = window.rows(y0, y1, h);
    let made = (u32::from(to) + lead).next_multiple_of(band) - lead;
    made.min(u32::from(h)).saturating_sub(from.into())
}
