//! The `longsight` command: see `longsight --help`.

fn main() -> std::process::ExitCode {
    longsight::cli::main()
}
