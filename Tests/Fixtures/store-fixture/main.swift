// Programs that fork and use the store, one scenario each: store-fixture SCENARIO [ARGUMENTS].

import Prefork

let scenario = CommandLine.arguments.dropFirst().first ?? ""
switch scenario {
default: fatalError("no scenario \(scenario)")
}
