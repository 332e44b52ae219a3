// preforkctl: asks a running supervisor, over its control socket. Arguments in, exit code out.

import PreforkSystem

let arguments = Array(CommandLine.arguments.dropFirst())
ignoreBrokenPipes()
CurrentProcess.exit(code: ControlTool.run(arguments).rawValue)
