// The short form in a program with `@main`, as `swift package init` makes it: `SCENARIO ADDRESS`.

import Prefork

@main
struct Server {
    /// Async, because that form has a task and executors before the fork. The other form is top-level code by another
    /// name.
    static func main() async {
        if CommandLine.arguments[1] == "suspends" { try? await Task.sleep(for: .milliseconds(1)) }
        ForkRuntime(workers: 2).runAndExit(on: CommandLine.arguments[2]) { worker, listener in
            try await listener.serve { connection in
                while try await connection.reader.waitForMessage() {
                    _ = try await connection.reader.read(until: "\n", limit: 1024)
                    let task = await Task { ForkRuntime.isSingleThreaded }.value
                    try await connection.writer.write("worker \(worker.taskID), single-threaded \(task)\n")
                }
            }
        }
    }
}
