//! `cargo xtask dist`: shell completions and man pages, from the definition of the command line
//! itself.

use std::fs;
use std::path::PathBuf;

use clap_complete::Shell;

use crate::running::Failure;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to write them
    #[arg(long, value_name = "DIR", default_value = "dist")]
    out: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    write(&args.out)
        .map_err(|error| Failure::Said(format!("cannot write to {}: {error}", args.out.display())))
}

fn write(out: &std::path::Path) -> std::io::Result<()> {
    let completions = out.join("completions");
    fs::create_dir_all(&completions)?;
    for shell in [
        Shell::Bash,
        Shell::Zsh,
        Shell::Fish,
        Shell::Elvish,
        Shell::PowerShell,
    ] {
        let path =
            clap_complete::generate_to(shell, &mut pgpki::args::command(), "pgpki", &completions)?;
        println!("{}", path.display());
    }
    let man = out.join("man");
    fs::create_dir_all(&man)?;
    clap_mangen::generate_to(pgpki::args::command(), &man)?;
    println!("{}/*.1", man.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_completion_for_every_shell_and_a_page_for_every_command() {
        let out = tempfile::tempdir().expect("a temporary directory");
        write(out.path()).expect("dist is written");
        assert_eq!(
            fs::read_dir(out.path().join("completions"))
                .expect("completions")
                .count(),
            5
        );
        for page in ["pgpki.1", "pgpki-init.1", "pgpki-inspect.1"] {
            let text = fs::read_to_string(out.path().join("man").join(page)).expect(page);
            assert!(text.contains(".SH SYNOPSIS"), "{text}");
        }
    }
}
