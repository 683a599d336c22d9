//! The commands, and which arguments each has.

/// An enum of the commands, of which clap learns the arguments when one is called: those of all others would be a good part of
/// what a run of milliseconds does.
macro_rules! commands {
    ($(#[doc = $about:literal] $command:ident($args:ty) = $name:literal,)+) => {
        /// The commands.
        #[derive(Debug)]
        pub enum Command {
            $(#[doc = $about] $command($args),)+
        }

        impl clap::Subcommand for Command {
            fn augment_subcommands(cli: clap::Command) -> clap::Command {
                cli.subcommand_required(true).arg_required_else_help(true)$(.subcommand(
                    clap::Command::new($name)
                        .about($about.trim_start())
                        .defer(|command| <$args as Args>::augment_args(command).about($about.trim_start()).long_about(None)),
                ))+
            }

            fn augment_subcommands_for_update(cli: clap::Command) -> clap::Command {
                Self::augment_subcommands(cli)
            }

            fn has_subcommand(name: &str) -> bool {
                [$($name),+].contains(&name)
            }
        }

        impl clap::FromArgMatches for Command {
            fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
                match matches.subcommand() {
                    $(Some(($name, matches)) => clap::FromArgMatches::from_arg_matches(matches).map(Self::$command),)+
                    _ => Err(clap::Error::new(clap::error::ErrorKind::MissingSubcommand)),
                }
            }

            fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
                *self = clap::FromArgMatches::from_arg_matches(matches)?;
                Ok(())
            }
        }
    };
}
