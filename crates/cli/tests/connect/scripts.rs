//! Ruby, PHP and Perl.

use std::path::PathBuf;
use std::process::Command;

use crate::cases::{Trial, WHO_AM_I};

fn runner(program: &str, before: &[&str], text: &str, files: &[PathBuf]) -> Command {
    let mut command = Command::new(program);
    command.args(before).arg(text.replace("WHO_AM_I", WHO_AM_I));
    command.args(files);
    command
}

/// `ActiveSupport::ConfigurationFile` is what Rails reads database.yml with.
#[test]
fn rails() {
    let text = "\
require 'active_record'
require 'active_support/configuration_file'
ARGV.each do |file|
  begin
    settings = ActiveSupport::ConfigurationFile.parse(file)
    ActiveRecord::Base.establish_connection(settings['production'])
    puts ActiveRecord::Base.connection.select_value(%q{WHO_AM_I})
  rescue StandardError => refused
    puts 'no ' + refused.message.split.join(' ')
  end
end
";
    let ruby = |files: &[PathBuf]| runner("ruby", &["-e"], text, files);
    Trial::of("rails").run("yml", |case| case.snippet.clone(), ruby);
}

#[test]
fn pdo() {
    let text = "\
foreach (array_slice($argv, 1) as $file) {
  try {
    echo (function () use ($file) {
      include $file;
      return $connection->query(\"WHO_AM_I\")->fetchColumn();
    })(), \"\\n\";
  } catch (PDOException $refused) {
    echo 'no ', preg_replace('/\\s+/', ' ', $refused->getMessage()), \"\\n\";
  }
}
";
    let php = |files: &[PathBuf]| runner("php", &["-r"], text, files);
    Trial::of("pdo").run("php", |case| format!("<?php\n{}", case.snippet), php);
}

/// With `use utf8` and without.
#[test]
fn dbd_pg() {
    let text = "\
use DBI;
for my $file (@ARGV) {
  our $said;
  do $file;
  my $why = $@ =~ s/\\s+/ /gr;
  print $why ? \"no $why\\n\" : \"$said\\n\";
}
";
    for first in ["", "use utf8;\n"] {
        let end = format!("our $said = $connection->selectrow_array(\"{WHO_AM_I}\");\n");
        let perl = |files: &[PathBuf]| runner("perl", &["-e"], text, files);
        Trial::of("dbd-pg").run("pl", |case| format!("{first}{}{end}", case.snippet), perl);
    }
}
