// The tool's help and completion scripts.

import PreforkSupervisor
import PreforkSystem

enum Help {
    static var text: String {
        """
        Usage: preforkctl [--socket PATH] COMMAND

        Watches and controls a running Prefork supervisor over its control socket.

        Watching:
        \(lines(Command.watching))

        Controlling:
        \(lines(Command.controlling))

        With --wait, a command ends when its work is done. Its exit code tells the result.
        watch [--path DIR ...] [--suffix .html ...] [--build COMMAND]: below '.', '.swift' files, 'swift build'.

        Options:
          --socket PATH             the control socket. Default: PREFORK_CONTROL
          completion SHELL          prints a completion script for bash, zsh or fish

        Exit codes: 0 done, 1 refused or failed, 64 wrong usage, 69 no supervisor answers,
        74 cannot write the output.
        Colours appear only on terminals, and not if NO_COLOR is set.
        """
    }

    private static func lines(_ commands: [Command]) -> String {
        commands.map { command in
            // What must be given comes first.
            let parts = command.parts.map(\.synopsis).filter { !$0.isEmpty }.sorted { !$0.hasPrefix("[") && $1.hasPrefix("[") }
            let head = "  " + ([command.name] + parts).joined(separator: " ")
            // A long head has its line for itself.
            let gap =
                head.count < 28
                ? String(repeating: " ", count: 28 - head.count) : "\n" + String(repeating: " ", count: 28)
            return head + gap + command.meaning
        }.joined(separator: "\n")
    }
}

enum Completion {
    private static let commands = Command.watching + Command.controlling
    private static let names = commands.map(\.name).joined(separator: " ") + " completion"
    private static let options = "--socket --wait --json --memory --quick --exec --keep --path --build --suffix --seconds --rate --output --help"

    static func script(_ shell: String) throws(ToolUsageError) -> String {
        switch shell {
        case "bash":
            """
            _preforkctl() {
                local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
                case $before in
                    --socket|--exec|--path|--output) COMPREPLY=($(compgen -f -- "$word")) ;;
                    completion) COMPREPLY=($(compgen -W "bash zsh fish" -- "$word")) ;;
                    *) COMPREPLY=($(compgen -W "\(names) \(options)" -- "$word")) ;;
                esac
            }
            complete -o filenames -F _preforkctl preforkctl
            """
        case "zsh":
            """
            #compdef preforkctl
            _arguments '--socket[the control socket]:path:_files' '--wait' '--json' '--memory' '--quick' '--help' '--suffix:ending:' \\
                '--exec[the program]:path:_files' '--keep' '*--path[sources]:path:_files -/' \\
                '--build[a command]:command:' '--seconds:number:' '--rate:number:' \\
                '--output[name of files]:path:_files' \\
                '1:command:(\(names))' '2:argument:(bash zsh fish)'
            """
        case "fish":
            """
            complete -c preforkctl -f
            complete -c preforkctl -l socket -r -F
            complete -c preforkctl -l exec -r -F
            complete -c preforkctl -l path -r -F
            complete -c preforkctl -l output -r -F
            complete -c preforkctl -l seconds -l rate -x
            complete -c preforkctl -l wait -l json -l memory -l quick -l keep -l help
            complete -c preforkctl -n __fish_use_subcommand -a "\(names)"
            complete -c preforkctl -n "__fish_seen_subcommand_from completion" -a "bash zsh fish"
            """
        default: throw ToolUsageError("there is no completion for '\(Escaping.brief(shell))'")
        }
    }
}
