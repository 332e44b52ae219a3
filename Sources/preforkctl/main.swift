// preforkctl: asks a running supervisor, over its control socket. Arguments in, exit code out.

import PreforkSystem

// SIGPIPE keeps its effect: `top | head` ends with its reader.
let arguments = Array(CommandLine.arguments.dropFirst())
CurrentProcess.exit(code: ControlTool.run(arguments).rawValue)
