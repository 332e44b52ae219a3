// Ten programs as someone writes them who has read tornado's, facet's and liteyuki's documents and not this package's:
// `guess-fixture PROGRAM`. Each first guess at a spelling has its number, 1 to 25.

let forking: [String: () throws -> Void] = [
    "workers": workers,
    "restarts": restarts,
    "runtime": runtime,
    "server": server,
    "manager": manager,
    "store": store,
]
let waiting: [String: () async throws -> Void] = [
    "popen": popen,
    "signals": signals,
    "run": runPrograms,
    "services": services,
]

let name = CommandLine.arguments.dropFirst().first ?? ""
// Nothing is awaited in a program that forks.
if let program = forking[name] {
    try program()
} else if let program = waiting[name] {
    try await program()
} else {
    print("no such program: \(name)")
}
