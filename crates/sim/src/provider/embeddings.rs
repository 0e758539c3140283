//! `POST /v1/embeddings`: vectors of length 1 that follow from the input alone.

use crate::provider::answer::Answer;
use crate::provider::dice::Dice;
use crate::provider::encode::{base64, quoted};
use crate::provider::request::{Call, Special};

/// Places of a vector where the request names no number.
///
/// Source: OpenAI, `text-embedding-3-small`, read 2026-11.
const DIMENSIONS: u32 = 1_536;

/// The whole answer.
pub(crate) fn whole(call: &Call) -> Answer {
    let Special::Vectors { inputs, base64: coded, dimensions } = &call.special else {
        return Answer::json(200, r#"{"object":"list","data":[]}"#.into());
    };
    let row = |(index, input): (usize, &String)| {
        let vector = vector(input, dimensions.unwrap_or(DIMENSIONS));
        let embedding = if *coded { in_base64(&vector) } else { in_json(&vector) };
        format!(r#"{{"object":"embedding","index":{index},"embedding":{embedding}}}"#)
    };
    let rows: Vec<String> = inputs.iter().enumerate().map(row).collect();
    let tokens = call.prompt_tokens;
    Answer::json(
        200,
        format!(
            r#"{{"object":"list","data":[{}],"model":{},"usage":{{"prompt_tokens":{tokens},"total_tokens":{tokens}}}}}"#,
            rows.join(","),
            quoted(&call.model)
        ),
    )
}

fn vector(input: &str, dimensions: u32) -> Vec<f32> {
    // FNV-1a: any fixed hash does, it only has to be the same everywhere.
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let mut dice = Dice::new(input.bytes().fold(0xcbf2_9ce4_8422_2325, mix));
    let raw: Vec<f64> = (0..dimensions).map(|_| dice.share() - 0.5).collect();
    let length = raw.iter().map(|place| place * place).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    #[expect(clippy::cast_possible_truncation, reason = "embeddings are 32-bit floats on the wire")]
    raw.into_iter().map(|place| (place / length) as f32).collect()
}

fn in_base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|place| place.to_le_bytes()).collect();
    format!("\"{}\"", base64(&bytes))
}

fn in_json(vector: &[f32]) -> String {
    let places: Vec<String> = vector.iter().map(f32::to_string).collect();
    format!("[{}]", places.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_length_one_and_follow_from_the_input() {
        let length: f32 = vector("hello", 256).iter().map(|place| place * place).sum();
        assert!((length - 1.0).abs() < 1e-3, "{length}");
        assert_eq!(vector("hello", 8), vector("hello", 8));
        assert_ne!(vector("hello", 8), vector("hello!", 8));
    }
}
