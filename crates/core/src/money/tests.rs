//! Amounts, prices and costs, held against plain arithmetic.

use alloc::string::ToString;
use alloc::vec;

use proptest::prelude::*;

use super::*;

fn usd(text: &str) -> Usd {
    Usd::parse(text).unwrap()
}

#[test]
fn an_amount_is_read_and_shown_without_loss() {
    for (text, pico, shown) in [
        ("5", 5_000_000_000_000, "5.00"),
        ("5.00", 5_000_000_000_000, "5.00"),
        ("0.0125", 12_500_000_000, "0.0125"),
        ("0.000000000001", 1, "0.000000000001"),
        ("0", 0, "0.00"),
        (
            "999999999999999.999999999999",
            999_999_999_999_999_999_999_999_999,
            "999999999999999.999999999999",
        ),
    ] {
        assert_eq!(usd(text).pico(), pico, "{text}");
        assert_eq!(usd(text).to_string(), shown);
    }
    assert_eq!(Usd::from_pico(-1_500_000_000_000).to_string(), "-1.50");
    assert_eq!(Usd::from_pico(-1).exact(), "-0.000000000001");
}

#[test]
fn what_is_no_amount_is_refused() {
    for text in [
        "",
        ".",
        "5.",
        ".5",
        "-5",
        "+5",
        "1e3",
        "5,00",
        "0x5",
        "5.0000000000001",
        "1000000000000000",
        "٥",
    ] {
        assert_eq!(Usd::parse(text), Err(NotUsd), "{text}");
    }
}

#[test]
fn sums_that_do_not_fit_are_refused() {
    let most = Usd::from_pico(i128::MAX);
    assert_eq!(most.plus(Usd::from_pico(1)), None);
    assert_eq!(Usd::from_pico(i128::MIN).minus(Usd::from_pico(1)), None);
    assert_eq!(most.percent(200), None);
    assert_eq!(Usd::ENTRY_MAX.plus(Usd::from_pico(1)).unwrap().entry(), None);
}

#[test]
fn a_call_costs_its_parts() {
    let price = Price {
        image: 20_000_000_000,
        minute: 6_000_000_000,
        character: 15_000_000,
        request: 7,
        ..Price::tokens(2_500_000, 1_250_000, 10_000_000)
    };
    let used = |quantity| price.cost(&quantity).unwrap().pico();
    let tokens = Quantity { input: 1_000, cached: 400, output: 50, ..Quantity::default() };
    assert_eq!(used(tokens), 600 * 2_500_000 + 400 * 1_250_000 + 50 * 10_000_000);
    // More cached than asked for is as much as was asked for.
    assert_eq!(used(Quantity { input: 10, cached: 99, ..Quantity::default() }), 10 * 1_250_000);
    assert_eq!(used(Quantity { images: 2, ..Quantity::default() }), 40_000_000_000);
    assert_eq!(used(Quantity { sound_ms: 60_000, ..Quantity::default() }), 6_000_000_000);
    assert_eq!(
        Price { minute: 1, ..Price::default() }
            .cost(&Quantity { sound_ms: 1, ..Quantity::default() }),
        Ok(Usd::from_pico(1))
    );
    assert_eq!(used(Quantity { characters: 3, requests: 2, ..Quantity::default() }), 45_000_014);
}

#[test]
fn a_cost_beyond_an_entry_is_refused_and_never_wraps() {
    let price = Price::tokens(u64::MAX, u64::MAX, u64::MAX);
    let most = Quantity { input: u64::MAX, cached: 0, output: u64::MAX, ..Quantity::default() };
    assert_eq!(price.cost(&most), Err(TooDear));
    assert_eq!(price.cost(&Quantity { output: 1, ..Quantity::default() }), Err(TooDear));
    let all = Price {
        image: u64::MAX,
        minute: u64::MAX,
        character: u64::MAX,
        request: u64::MAX,
        ..price
    };
    let all_of_it = Quantity {
        images: u64::MAX,
        sound_ms: u64::MAX,
        characters: u64::MAX,
        requests: u64::MAX,
        ..most
    };
    assert_eq!(all.cost(&all_of_it), Err(TooDear));
}

#[test]
fn the_nearest_price_is_taken() {
    let named =
        |model: &str, input| NamedPrice { model: model.into(), price: Price::tokens(input, 0, 0) };
    let own = vec![
        named("gpt-*", 1),
        named("gpt-4*", 2),
        named("gpt-4o", 3),
        named("spare/gpt-4o", 4),
        named("spare/*", 5),
    ];
    let list = PriceList::new(own, Unpriced::Refuse, true);
    for (provider, model, input) in [
        ("openai", "gpt-4o", Some(3)),
        ("spare", "gpt-4o", Some(4)),
        ("spare", "gpt-4.1", Some(5)),
        ("openai", "gpt-4.1", Some(2)),
        ("openai", "gpt-9", Some(1)),
        ("openai", "o3", Some(2_000_000)),
        ("openai", "o3-2025-04-16", Some(2_000_000)),
        ("openai", "o3-pro", Some(20_000_000)),
        ("openai", "o3-unheard-of", None),
        ("openai", "ft:gpt-4o:acme::1", Some(3_750_000)),
    ] {
        // The pattern of one's own goes before the shipped price also for what looks like it.
        let found = list.price(provider, model).map(|price| price.input);
        assert_eq!(found, input, "{provider} {model}");
    }
}

#[test]
fn only_a_date_makes_it_the_same_model() {
    let list = PriceList::new(vec![], Unpriced::Refuse, true);
    let input = |model| list.price("openai", model).map(|price| price.input);
    assert_eq!(input("gpt-4o-2024-11-20"), Some(2_500_000));
    assert_eq!(input("gpt-4o-2024-05-13"), Some(5_000_000));
    assert_eq!(input("openai/gpt-4o"), Some(2_500_000));
    assert_eq!(input("ft:gpt-4o-2024-08-06:acme::1"), Some(3_750_000));
    assert_eq!(input("gpt-4-0613"), Some(30_000_000));
    assert_eq!(input("chatgpt-4o-latest"), Some(5_000_000));
    for model in [
        "gpt-4o-realtime-preview",
        "gpt-4o-audio-preview-2024-12-17",
        "gpt-5-search-api",
        "gpt-4o-",
        "-2024-01-01",
        "ft:o3:acme::1",
    ] {
        assert_eq!(input(model), None, "{model}");
    }
}

#[test]
fn a_model_without_a_price_is_dealt_with_by_rule() {
    let price = |unpriced| PriceList::new(vec![], unpriced, false).price("p", "m");
    assert_eq!(price(Unpriced::Refuse), None);
    assert_eq!(price(Unpriced::Free), Some(Price::default()));
    assert_eq!(price(Unpriced::At(Price::tokens(1, 2, 3))), Some(Price::tokens(1, 2, 3)));
    assert_eq!(
        PriceList::default().price("p", "gpt-4o"),
        None,
        "the shipped table can be left out"
    );
}

#[test]
fn every_shipped_price_is_found_by_its_name() {
    let list = PriceList::new(vec![], Unpriced::Refuse, true);
    for row in default_prices() {
        let name = if row.tuned {
            alloc::format!("ft:{}:acme::1", row.model)
        } else {
            row.model.to_string()
        };
        assert_eq!(list.price("openai", &name), Some(row.price), "{name}");
        assert!(row.price.cached_input <= row.price.input, "{name}");
    }
}

proptest! {
    #[test]
    fn reading_undoes_showing(pico in 0..=Usd::MAX.pico()) {
        let amount = Usd::from_pico(pico);
        prop_assert_eq!(Usd::parse(&amount.to_string()), Ok(amount));
        prop_assert_eq!(Usd::parse(&amount.exact()), Ok(amount));
    }

    #[test]
    fn any_text_is_read_or_refused_without_panic(text in ".{0,40}") {
        if let Ok(amount) = Usd::parse(&text) {
            prop_assert!(!amount.is_negative() && amount <= Usd::MAX);
        }
    }

    #[test]
    fn the_cost_of_two_is_the_sum_of_their_costs(
        prices in proptest::array::uniform3(0u64..1_000_000_000),
        first in proptest::array::uniform3(0u64..1_000_000),
        second in proptest::array::uniform3(0u64..1_000_000),
    ) {
        let price = Price::tokens(prices[0], prices[1], prices[2]);
        let quantity = |n: [u64; 3]| Quantity { input: n[0] + n[1], cached: n[1], output: n[2], requests: 1, ..Quantity::default() };
        let (a, b) = (quantity(first), quantity(second));
        let sum = price.cost(&a).unwrap().plus(price.cost(&b).unwrap()).unwrap();
        prop_assert_eq!(price.cost(&a.plus(b)), Ok(sum));
    }

    #[test]
    fn the_dearer_price_bounds_both(
        a in proptest::array::uniform3(0u64..1_000_000_000),
        b in proptest::array::uniform3(0u64..1_000_000_000),
        n in proptest::array::uniform3(0u64..1_000_000),
    ) {
        let (a, b) = (Price::tokens(a[0], a[1], a[2]), Price::tokens(b[0], b[1], b[2]));
        let quantity = Quantity { input: n[0] + n[1], cached: n[1], output: n[2], ..Quantity::default() };
        let bound = a.or_dearer(&b).cost(&quantity).unwrap();
        prop_assert!(bound >= a.cost(&quantity).unwrap() && bound >= b.cost(&quantity).unwrap());
    }
}

#[test]
fn every_shipped_price_says_as_of_when_it_is_known() {
    for row in default_prices() {
        let parts: Vec<&str> = row.known.split('-').collect();
        assert!(
            matches!(parts[..], [year, month] if year.len() == 4 && month.len() == 2),
            "{row:?}"
        );
        assert!(row.known <= &DEFAULTS_DATE[..7], "{row:?} is known of later than the table is");
    }
}

/// What a vendor's list of prices never says the other way round: a mistyped digit would.
#[test]
fn shipped_prices_do_not_contradict_each_other() {
    let of = |model: &str, tuned: bool| {
        let mut rows =
            default_prices().iter().filter(|row| row.model == model && row.tuned == tuned);
        let found = rows.next().map(|row| row.price);
        assert_eq!(rows.next(), None, "{model} stands twice");
        found
    };
    let mut compared = 0;
    let mut at_most = |low: Price, high: Price, why: &str, model: &str| {
        compared += 1;
        assert_eq!(low.or_dearer(&high), high, "{model}: {why}");
    };
    // What a cache takes off differs: of o3 three quarters, of o3-mini a half.
    let fresh = |price: Price| Price { cached_input: price.input, ..price };
    for row in default_prices() {
        let (model, price) = (row.model, of(row.model, row.tuned).unwrap());
        assert!(price.output == 0 || price.output >= price.input, "{model}: words said cost more");
        if let Some(base) = of(model, false).filter(|_| row.tuned) {
            at_most(base, price, "a tuned one costs no less", model);
        }
        for (small, large) in [("-mini", ""), ("-nano", "-mini"), ("-nano", ""), ("", "-pro")] {
            let other = match small {
                "" => alloc::format!("{model}{large}"),
                small if model.contains(small) => model.replacen(small, large, 1),
                _ => continue,
            };
            if let Some(other) = of(&other, row.tuned) {
                at_most(fresh(price), fresh(other), "a smaller one costs no more", model);
            }
        }
    }
    assert!(compared > 20, "{compared} were compared");
}
