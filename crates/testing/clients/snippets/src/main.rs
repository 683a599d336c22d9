//! Runs what was pasted into `cases.rs`: a line for each of its functions.

include!("cases.rs");

/// What a function for a snippet returns: what the server says of who has come.
type Said = Result<String, Box<dyn std::error::Error>>;

fn tell(said: Said) {
    match said {
        Ok(said) => println!("{said}"),
        Err(refused) => println!("no {}", with_causes(refused.as_ref())),
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for_each_case().await;
}
