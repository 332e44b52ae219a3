// The descriptors of a command: pipes, files and terminals that are opened before its start.

import PreforkEventLoop
import PreforkSystem

/// What the child gets and what its parent keeps, for one start.
struct Plumbing {
    /// Where the bytes of one output go in the parent.
    struct Outlet {
        var reading: Int32
        var kind: StreamKind
        /// Where incoming bytes go: one target, or several for a tee.
        var targets: [Target]
        /// The user's end of a pipe that a tee fills.
        var streamReading: Int32?

        var copies: Bool { targets.contains { if case .write = $0 { true } else { false } } }
    }

    enum Target {
        case stream
        case collect(limit: Int, overflow: Command.Overflow)
        /// A pipe, file or inherited descriptor that a tee writes to.
        case write(Int32, StreamKind)

        var isCollect: Bool { if case .collect = self { true } else { false } }
    }

    /// What the child finds at 0, 1 and 2.
    private var standard: [SpawnPlan.Source] = [.nullDevice, .nullDevice, .nullDevice]
    private let extra: [Int32: Int32]
    /// Closed as soon as the child has them.
    let childSide = DescriptorSet()
    /// Closed when the start fails.
    let parentSide = DescriptorSet()
    private(set) var input: (writing: Int32, kind: StreamKind)?
    /// Bytes that did not fit into the pipe.
    private(set) var inputRest: ArraySlice<UInt8> = []
    private(set) var outlets: (stdout: Outlet?, stderr: Outlet?)
    private var terminal: (primary: Int32, replica: Int32)?
    /// The child's descriptor that is its controlling terminal.
    private(set) var controllingTerminal: Int32?

    init(_ command: Command, collectsByDefault: Bool) throws(SpawnError) {
        extra = command.descriptors
        do throws(SystemError) {
            try connectInput(command)
            try connectOutput(command.stdout, 1, command, collectsByDefault)
            if command.stderr == .stdout {
                standard[2] = standard[1]
            } else {
                try connectOutput(command.stderr, 2, command, collectsByDefault)
            }
        } catch {
            throw error.call == "command" ? SpawnError(.command, error) : SpawnError(.streams, error)
        }
    }

    /// Everything that the child finds, by rising number.
    var childDescriptors: [(target: Int32, source: SpawnPlan.Source)] {
        let all = standard.enumerated().map { (target: Int32($0.offset), source: $0.element) }
        if extra.isEmpty { return all }
        let others = extra.sorted { $0.key < $1.key }.map {
            (target: $0.key, source: SpawnPlan.Source.descriptor($0.value))
        }
        // A number below 3 is a standard stream by another name.
        return (all.filter { extra[$0.target] == nil } + others).sorted { $0.target < $1.target }
    }

    private mutating func connectInput(_ command: Command) throws(SystemError) {
        switch command.stdin {
        case .null: standard[0] = .nullDevice
        case .inherit: standard[0] = .inherited(0)
        case .descriptor(let number): standard[0] = .descriptor(number)
        case .file(let path): standard[0] = .descriptor(childSide.add(try openFile(path.bytes, for: .reading)))
        case .stream: input = (try inputPipe(), .pipe)
        case .bytes(let bytes): try feed(bytes)
        case .terminal:
            let terminal = try openedTerminal(command)
            standard[0] = .descriptor(terminal.replica)
            controllingTerminal = 0
            input = (parentSide.add(try duplicate(terminal.primary)), .terminal)
        }
    }

    private mutating func inputPipe() throws(SystemError) -> Int32 {
        let pipe = try makeBlockingPipe()
        standard[0] = .descriptor(childSide.add(pipe.reading))
        parentSide.add(pipe.writing)
        try setNonBlocking(pipe.writing)
        return pipe.writing
    }

    /// An empty pipe takes 64 KiB at once, which suffices for most inputs. The rest is written while the child runs.
    private mutating func feed(_ bytes: [UInt8]) throws(SystemError) {
        let writing = try inputPipe()
        let count = try bytes.withUnsafeBufferPointer { bytes throws(SystemError) in
            bytes.isEmpty ? 0 : try writeBytes(to: writing, UnsafeRawBufferPointer(bytes)) ?? 0
        }
        inputRest = bytes.dropFirst(count)
        if inputRest.isEmpty {
            parentSide.close(writing)
        } else {
            input = (writing, .pipe)
        }
    }

    private mutating func connectOutput(
        _ output: Command.Output, _ number: Int32, _ command: Command, _ collectsByDefault: Bool
    ) throws(SystemError) {
        switch output {
        case .automatic:
            try connectOutput(collectsByDefault ? .collect : .inherit, number, command, collectsByDefault)
        case .null: standard[Int(number)] = .nullDevice
        case .inherit: standard[Int(number)] = .inherited(number)
        case .descriptor(let source): standard[Int(number)] = .descriptor(source)
        case .file(let path, let appending):
            standard[Int(number)] = .descriptor(
                childSide.add(try openFile(path.bytes, for: appending ? .appending : .writing)))
        case .stream: try outputPipe(number, [.stream])
        case .collect(let limit, let overflow):
            try outputPipe(number, [.collect(limit: limit, overflow: overflow)])
        case .tee(let outputs): try connectTee(outputs, number)
        case .terminal: try connectTerminal(number, command)
        case .stdout: throw SystemError("command", .invalidArgument, on: "standard output goes into itself")
        }
    }

    private mutating func outputPipe(
        _ number: Int32, _ targets: [Target], streamReading: Int32? = nil
    ) throws(SystemError) {
        let pipe = try makeBlockingPipe()
        standard[Int(number)] = .descriptor(childSide.add(pipe.writing))
        parentSide.add(pipe.reading)
        try setNonBlocking(pipe.reading)
        setOutlet(number, Outlet(reading: pipe.reading, kind: .pipe, targets: targets, streamReading: streamReading))
    }

    private mutating func setOutlet(_ number: Int32, _ outlet: Outlet) {
        if number == 1 { outlets.stdout = outlet } else { outlets.stderr = outlet }
    }

    private mutating func connectTerminal(_ number: Int32, _ command: Command) throws(SystemError) {
        let terminal = try openedTerminal(command)
        standard[Int(number)] = .descriptor(terminal.replica)
        controllingTerminal = controllingTerminal ?? number
        // Both outputs into one terminal are one stream, which is read as standard output.
        if number == 2, outlets.stdout?.kind == .terminal { return }
        let primary = parentSide.add(try duplicate(terminal.primary))
        setOutlet(number, Outlet(reading: primary, kind: .terminal, targets: [.stream]))
    }

    /// The one terminal of this command, made when the first stream requests it.
    private mutating func openedTerminal(_ command: Command) throws(SystemError) -> (primary: Int32, replica: Int32) {
        if let terminal { return terminal }
        let made = try openTerminal()
        childSide.add(made.replica)
        parentSide.add(made.primary)
        let size = command.terminalSize
        try setTerminalSize(made.primary, rows: size.rows, columns: size.columns)
        try setNonBlocking(made.primary)
        terminal = made
        return made
    }

    /// Whether a reader that goes away must not be a SIGPIPE.
    var writesToPipes: Bool {
        input != nil || outlets.stdout?.copies == true || outlets.stderr?.copies == true
    }

    /// The parent's terminal, to be resized later.
    var terminalPrimary: Int32? { terminal?.primary }

    private mutating func connectTee(_ outputs: [Command.Output], _ number: Int32) throws(SystemError) {
        var targets: [Target] = []
        var streamReading: Int32?
        for output in outputs {
            switch output {
            case .null: break
            case .inherit: targets.append(try share(number))
            case .descriptor(let source): targets.append(try share(source))
            case .file(let path, let appending):
                let file = parentSide.add(try openFile(path.bytes, for: appending ? .appending : .writing))
                try setNonBlocking(file)
                targets.append(.write(file, isPipe(file) ? .pipe : .other))
            case .collect(let limit, let overflow):
                if targets.contains(where: \.isCollect) { throw badTee("two collected copies") }
                targets.append(.collect(limit: limit, overflow: overflow))
            case .stream:
                if streamReading != nil { throw badTee("two streams") }
                let pipe = try makePipe()
                streamReading = parentSide.add(pipe.reading)
                targets.append(.write(parentSide.add(pipe.writing), .pipe))
            case .automatic, .stdout, .tee, .terminal:
                throw badTee("\(output)")
            }
        }
        try outputPipe(number, targets, streamReading: streamReading)
    }

    private func badTee(_ problem: String) -> SystemError {
        SystemError("command", .invalidArgument, on: "a tee into \(problem)")
    }

    private func share(_ number: Int32) throws(SystemError) -> Target {
        switch try openShared(number) {
        case .socket(let copy): .write(parentSide.add(copy), .socket)
        case .stream(let copy): .write(parentSide.add(copy), .pipe)
        case .regular(let copy): .write(parentSide.add(copy), .other)
        }
    }
}
