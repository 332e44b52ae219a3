// Programs that fork and use the channel, one scenario each: channel-fixture SCENARIO [ARGUMENTS].

import Prefork

let scenario = CommandLine.arguments.dropFirst().first ?? ""
switch scenario {
default: fatalError("no scenario \(scenario)")
}
