// What a fixture tells its test.

@_exported import Glibc

/// A line on standard output, in one write and at once: lines of several processes do not mix, and a kill takes none.
package func say(_ text: String) {
    put(text, on: STDOUT_FILENO)
}

/// A line on standard error, for people.
package func complain(_ text: String) {
    put(text, on: STDERR_FILENO)
}

private func put(_ text: String, on descriptor: Int32) {
    let line = Array("\(text)\n".utf8)
    _ = write(descriptor, line, line.count)
}

/// Tells of an error and ends the process at once.
package func fail(_ error: any Error) -> Never {
    say("error: \(error)")
    _exit(75)
}

/// Ends the process if something is not as it must be.
package func require(_ condition: Bool, _ what: @autoclosure () -> String) {
    if condition { return }
    say("wrong: \(what())")
    _exit(2)
}
