// What the tool says of itself.

enum Help {
    static let text = """
        Usage: preforkctl [--socket PATH] COMMAND

        Watches and controls a running Prefork supervisor over its control socket.

        Watching:
          status [--json]       the pool and its workers; rates are those of 0.3 s
          top                   the same, every second
          workers [--json]      each worker
          listeners [--json]    where connections are accepted, and how many wait
          config [--json]       every setting in force
          crashes [--json]      the last 100 ends of workers, oldest first
          metrics               Prometheus text

        Controlling:
          reload [--wait]       new workers for old ones, the next only when one is ready; when a
                                new one fails, the old ones stay and the reload is aborted
          scale N | +N | -N     how many workers there are to be [--wait]
          restart SLOT          a new worker for one slot, ready before the old one goes [--wait]
          drain SLOT            a worker finishes what it has and ends; it gets a successor [--wait]
          kill SLOT             SIGKILL; the worker is restarted as after any death
          upgrade               re-executes the program, under the same process ID; another
                                program with --exec PATH [--wait]
          reopen-logs           after log files were moved
          stop [--quick]        ends the pool: requests are finished, or dropped with --quick

        With --wait the command ends when the work does, and its exit code tells the result.

        Options:
          --socket PATH         the control socket; else PREFORK_CONTROL
          completion SHELL      prints a completion script for bash, zsh or fish
          --help

        Exit codes: 0 done, 1 refused or failed, 64 wrong usage, 69 no supervisor answers there.
        Colours are used on terminals only, and not when NO_COLOR is set.
        """
}

enum Completion {
    private static let commands = [
        "status", "top", "workers", "listeners", "config", "crashes", "metrics", "reload", "scale", "restart", "drain",
        "kill", "upgrade", "reopen-logs", "stop", "completion",
    ].joined(separator: " ")

    static func script(_ shell: String) throws(UsageError) -> String {
        switch shell {
        case "bash":
            """
            _preforkctl() {
                local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
                case $before in
                    --socket|--exec) COMPREPLY=($(compgen -f -- "$word")) ;;
                    completion) COMPREPLY=($(compgen -W "bash zsh fish" -- "$word")) ;;
                    *) COMPREPLY=($(compgen -W "\(commands) --socket --wait --json --quick --exec --help" -- "$word")) ;;
                esac
            }
            complete -F _preforkctl preforkctl
            """
        case "zsh":
            """
            #compdef preforkctl
            _arguments '--socket[the control socket]:path:_files' '--wait' '--json' '--quick' '--help' \\
                '--exec[the program]:path:_files' '1:command:(\(commands))' '2:argument:(bash zsh fish)'
            """
        case "fish":
            """
            complete -c preforkctl -f
            complete -c preforkctl -l socket -r -F
            complete -c preforkctl -l exec -r -F
            complete -c preforkctl -l wait -l json -l quick -l help
            complete -c preforkctl -n __fish_use_subcommand -a "\(commands)"
            complete -c preforkctl -n "__fish_seen_subcommand_from completion" -a "bash zsh fish"
            """
        default: throw UsageError(text: "there is no completion for '\(shell)'")
        }
    }
}
