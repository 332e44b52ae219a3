// `preforkctl profile`: has workers sample themselves, and writes what they have found as two files.

import PreforkSupervisor
import PreforkSystem

enum ProfileTool {
    /// Lanes hold 255 samples of a worker: at 999 a second of each of four processors that is 64 ms.
    private static func pause(_ rate: Int64) -> Duration { .milliseconds(rate > 300 ? 50 : 200) }
    private static let patience: Duration = .seconds(10)

    /// - Returns: `.failed` when the supervisor did not stay to the end. What it has told is written.
    static func run(
        _ members: [JSONValue.Member], by client: ControlClient
    ) throws -> ExitCode {
        let output = members.first { $0.name == "output" }?.value.string?.unescaped ?? defaultName
        // Before the workers begin: a directory that cannot be written to is known at once.
        let folded = try open(output + ".folded")
        let picture = try open(output + ".svg")
        var recording = try ProfileRecording(try client.ask(.order("profile", members.filter { $0.name != "output" })))
        let rate = members.first { $0.name == "rate" }?.value.integer ?? 99
        let isWhole = collect(&recording, by: client, every: pause(rate))
        try write(recording, to: folded.number, picture.number)
        _ = consume folded  // lives until here
        _ = consume picture
        for note in recording.notes { Output.complain(note.escaped(for: .terminal)) }
        if recording.lost > 0 { Output.complain("\(recording.lost) samples were lost") }
        let name = ForeignText(output).escaped(for: .terminal)
        Output.write("\(summary(recording)): \(name).folded, \(name).svg")
        return isWhole ? .done : .failed
    }

    private static func summary(_ recording: ProfileRecording) -> String {
        let workers = recording.pids.count
        return "\(recording.samples) samples of \(workers) worker\(workers == 1 ? "" : "s")"
    }

    private static var defaultName: String {
        let digits = WallClock.timestamp.prefix(19).filter { $0 != "-" && $0 != ":" }
        return "profile-\(digits)"
    }

    private static func open(_ path: String) throws(SystemError) -> Descriptor {
        Descriptor(owning: try openFile(Array(path.utf8), for: .writing))
    }

    /// - Returns: whether the profile came to its end.
    private static func collect(
        _ recording: inout ProfileRecording, by client: ControlClient, every pause: Duration
    ) -> Bool {
        let request = JSONValue.order("profile", [.init("collect", .integer(recording.number))])
        while !recording.isOver {
            do {
                _ = try Polling.waitUntilReadable([], until: .now + pause)
                recording.add(try client.ask(request, until: .now + patience))
            } catch {
                // An upgrade in place, or its end.
                recording.add(note: ForeignText("the profile is not whole: \(error)"))
                return false
            }
        }
        return true
    }

    private static func write(_ recording: ProfileRecording, to folded: Int32, _ picture: Int32) throws {
        let names = ProfileNames(recording)
        let stacks = FoldedStacks(recording.stacks) { names.functions(at: $0, isReturn: $1) }
        let graph = FlameGraph(stacks, title: "\(summary(recording)), \(WallClock.timestamp.prefix(19))Z")
        try Output.write(stacks.text, toFile: folded)
        try Output.write(graph.svg, toFile: picture)
    }
}
