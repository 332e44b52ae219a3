// The rows of the store, the channels, publishing and managed processes: `store-measurement ROW [ARGUMENT ...]`. One
// run, one line of JSON, with the names and arguments of limits/store_limits.c, publish_limits.c and channel_limits.c.

import Glibc
import Prefork
import PreforkSystem

let rows = [storeRows, publishRows, wakeRows, channelRows, managedRows].reduce(into: Rows()) { all, some in
    all.merge(some) { first, _ in first }
}
let arguments = Array(CommandLine.arguments.dropFirst())

guard let name = arguments.first, let row = rows[name] else {
    print("rows: \(rows.keys.sorted().joined(separator: " "))")
    exit(64)
}
do {
    try row(Arguments(words: arguments.dropFirst()))
} catch {
    _ = writeToStandardErrorWithoutBlocking("store-measurement \(name): \(error)\n")
    exit(70)
}
