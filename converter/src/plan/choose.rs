//! Which of the plans is taken: by goal, and within a limit.

use super::frontier::{Frontier, Point};
use super::search::Search;
use super::{Goal, PlanError, PlanOptions, regions, unfit};

/// Balanced, and beyond the allowance, one percent of memory has to save one part of so many of a percent of the time.
const RATE: u32 = 10;

/// So many percent of the arena are the most that a bargain may add: of inputs that are there as a whole, and of rows that
/// are pushed.
const WHOLE: u64 = 42;
const PUSHED: u64 = 20;

/// Takes a plan, and makes the best of the bytes that it may take.
pub(super) fn choose<'m>(frontier: &mut Frontier<'m>, options: &PlanOptions) -> Result<Point<'m>, PlanError> {
    let fast = options.fast_bytes.unwrap_or(0);
    // State is RAM as well.
    let ram = |p: &Point<'m>| {
        let main = if fast > 0 { regions::place(&p.net, &p.plan, fast, false).bytes[0] } else { p.bytes() };
        main + regions::state_bytes(&p.net)
    };
    let limit = options.ram_limit.map_or(u64::MAX, u64::from);
    let fits: Vec<&Point<'m>> = frontier.points.iter().filter(|p| limit == u64::MAX || ram(p) <= limit).collect();
    let Some(&smallest) = fits.first() else {
        let best = frontier.points.iter().min_by_key(|p| ram(p)).ok_or(PlanError::Schedule(0))?;
        let best = finish(best.clone(), options)?;
        if ram(&best) > limit {
            return Err(unfit::error(&best, ram(&best), options));
        }
        frontier.add(best.clone());
        return Ok(best);
    };
    let within = |most: u64| fits.iter().rev().find(|p| p.bytes() <= most).copied().unwrap_or(smallest);
    let goal = options.goal.unwrap_or(if options.ram_limit.is_some() { Goal::Speed } else { Goal::Balanced });
    let (point, most) = match (goal, options.goal) {
        (Goal::Size, _) => (smallest.clone(), smallest.bytes()),
        // The limit alone.
        (_, None) if options.ram_limit.is_some() => (within(u64::MAX).clone(), limit),
        _ => {
            let most = frontier.full + goal.allowance(frontier.full);
            (within(most).clone(), most)
        }
    };
    // Rows are pushed where memory is short.
    let share = if options.push_rows { PUSHED } else { WHOLE };
    let some = frontier.full + frontier.full * share / 100;
    let farthest = match goal {
        Goal::Balanced if options.push_rows => some,
        Goal::Balanced => some.max(frontier.rich + goal.allowance(frontier.rich)),
        _ => 0,
    };
    // The best bargain of all, if it is beyond the allowance.
    let near = fits.iter().copied().filter(|p| p.bytes() <= farthest).min_by_key(|p| price(p, smallest));
    let far = near.filter(|p| p.bytes() > most).cloned();
    let most = most.min(limit.saturating_sub(regions::state_bytes(&point.net))).max(point.bytes());
    let chosen = match far {
        // It may be on the way to a better one.
        Some(p) => {
            let further = frontier.clone().climb(p.clone(), farthest.min(limit), options)?;
            if price(&further, smallest) < price(&p, smallest) { further } else { p }
        }
        None if goal == Goal::Size || fast > 0 => point,
        // What is found here depends on the limit, so it is offered only if it is taken.
        None => frontier.clone().climb(point, most, options)?,
    };
    let chosen = finish(chosen, options)?;
    frontier.add(chosen.clone());
    Ok(chosen)
}

/// What is worth it for the plan that is taken only.
fn finish<'m>(mut point: Point<'m>, options: &PlanOptions) -> Result<Point<'m>, PlanError> {
    let search = Search::new(options);
    search.repack(&point.net, &mut point.plan);
    if options.cuts.is_none() {
        search.join(&point.net, &mut point.plan)?;
    }
    Ok(point)
}

/// Memory times a power of time, in which the slowest counts as one; in parts of 2^48.
fn price(p: &Point<'_>, slowest: &Point<'_>) -> u128 {
    let time = (u128::from(p.time) << 48) / u128::from(slowest.time.max(1));
    let power = (0..RATE).fold(1u128 << 48, |power, _| (power * time.min(1 << 48)) >> 48);
    power * u128::from(p.bytes())
}
