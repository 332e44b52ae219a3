// Managed processes when their program is upgraded in place, and when the upgrade fails.

import Glibc
import PreforkSystem
import PreforkTestSupport
import Testing

/// `manager-fixture upgrade` with its folder of switches.
private final class UpgradedProgram {
    let program: ChildProgram
    let ports: [UInt16]
    private let folder: String
    let environment: [String: String]

    init(_ arguments: [String] = [], environment: [String: String] = [:]) async throws {
        folder = try temporaryPath()
        mkdir(folder, 0o755)
        let own = [
            "PREFORK_PROBATION": "1s", "PREFORK_CONTROL": folder + ".control", "SWIFT_BACKTRACE": "enable=no",
        ]
        let environment = own.merging(environment) { $1 }
        self.environment = environment
        program = try ChildProgram(
            "manager-fixture", ["upgrade", "switches=\(folder)"] + arguments, environment: environment)
        ports = try await program.waitForLine("ports ").split(separator: " ").compactMap { UInt16($0) }
        try await program.waitForLine("all ready, image 1")
        try await eventually("top is ready\n\(program.errors)") { self.program.errors.contains("top ready") }
    }

    deinit {
        program.killGroup()
        for name in entries(folder) { unlink("\(folder)/\(name)") }
        rmdir(folder)
    }

    func turnOn(_ name: String) { close(open("\(folder)/\(name)", O_CREAT | O_WRONLY, 0o644)) }
    func turnOff(_ name: String) { unlink("\(folder)/\(name)") }

    /// The processes of that name so far, oldest first.
    func processes(_ name: String) -> [Int32] {
        program.output.split(separator: "\n").compactMap { line in
            guard line.hasPrefix("\(name) is ") else { return nil }
            return Int32(line.dropFirst(name.count + 4).prefix { $0.isNumber })
        }
    }

    func isAlive(_ pid: Int32) -> Bool { kill(pid, 0) == 0 && !isZombie(pid) }

    func count(_ text: String) -> Int { program.errors.split(separator: "\n").count { $0.contains(text) } }

    func waitForLog(_ text: String, times: Int = 1) async throws {
        try await eventually(within: .seconds(60), "the log says: \(text)\n\(program.output)\n\(program.errors)") {
            self.count(text) >= times
        }
    }

    /// Where in the log a line comes that has `text`, the last one.
    func place(_ text: String) -> Int {
        program.errors.split(separator: "\n").lastIndex { $0.contains(text) } ?? -1
    }

    func order(_ words: String...) async throws -> (code: Int32, output: String) {
        let tool = try ChildProgram("preforkctl", words, environment: environment)
        let code = try await tool.waitForExit(within: .seconds(90))
        return (code, tool.output + tool.errors)
    }

    func upgrade() async throws {
        let (code, output) = try await order("upgrade", "--wait")
        #expect(code == 0, "\(output)\(program.errors)")
    }

    /// Ends it, which must leave nobody and have lost nothing.
    func end() async throws {
        turnOn("quiet")
        try await program.waitForLine("all have come")
        program.send(.terminate)
        #expect(try await program.waitForExit(within: .seconds(60)) == 0)
        #expect(program.groupSize == 0)
        #expect(program.output.contains("lost 0\n"), "\(program.output)\(program.errors)")
        #expect(!program.output.contains("gap:"), "\(program.output)\(program.errors)")
    }
}

@Suite(.timeLimit(.minutes(4))) struct ManagedUpgradeTests {
    static let users: [[String: String]] = getuid() == 0 ? [[:], ["PREFORK_USER": "nobody"]] : [[:]]

    /// Clients of its port, and a worker that sends to it, see no moment without it.
    @Test(arguments: users) func `New first: the old process serves until the new one is ready`(
        user: [String: String]
    ) async throws {
        let service = try await UpgradedProgram(["succession=new"], environment: user)
        let old = [service.processes("base")[0], service.processes("top")[0]]
        let loads = [try await ConstantLoad(on: service.ports[0]), try await ConstantLoad(on: service.ports[1])]
        try await service.upgrade()
        for load in loads {
            let result = try await load.stop()
            #expect(result.failures == 0 && result.answers > 0, "\(result)\n\(service.program.errors)")
        }
        for (name, pid) in zip(["base", "top"], old) {
            let processes = service.processes(name)
            #expect(processes.count == 2 && processes[0] == pid, "\(service.program.output)")
            #expect(service.program.output.contains("\(name) is \(processes[1]) generation 2 image 2"))
            try await eventually("the old one has ended") { !service.isAlive(pid) }
            #expect(service.place("\(name) ready (pid \(processes[1])") < service.place("\(name) is asked to restart"))
        }
        // One at a time: what others need comes first.
        #expect(service.place("base ready") < service.place("top started"))
        #expect(try await service.order("status").output.contains("\(service.processes("top")[1])"))
        try await service.end()
    }

    @Test func `Stop first: there are never two processes`() async throws {
        let service = try await UpgradedProgram()
        try await service.upgrade()
        for name in ["base", "top"] {
            #expect(service.processes(name).count == 2, "\(service.program.output)")
            let end = service.place("\(name) (pid \(service.processes(name)[0])) exit")
            #expect(end >= 0 && end < service.place("\(name) started (pid \(service.processes(name)[1])"))
        }
        #expect(service.place("base ready") < service.place("top is asked to restart"))
        try await service.end()
    }

    @Test(arguments: ["new", "old"], ["crash-base", "crash-top", "crash-later-top"])
    func `A new process that crashes fails the upgrade, and the old ones serve on`(
        succession: String, end: String
    ) async throws {
        let service = try await UpgradedProgram(["succession=\(succession)"], environment: ["PREFORK_PROBATION": "20s"])
        let (base, top) = (service.processes("base")[0], service.processes("top")[0])
        let loads = [try await ConstantLoad(on: service.ports[0]), try await ConstantLoad(on: service.ports[1])]
        service.turnOn("new-\(end)")
        let (code, output) = try await service.order("upgrade", "--wait")
        #expect(code != 0, "\(output)")
        try await service.waitForLog("rolling back to the previous program")
        try await service.waitForLog("workers of the previous program", times: 2)
        let isFirst = succession == "new"
        // Whose successor was ready, or that had to end before, was replaced.
        let isBaseReplaced = end != "crash-base" || !isFirst
        let isTopReplaced = end == "crash-later-top" || end == "crash-top" && !isFirst
        for (name, pid, isReplaced) in [("base", base, isBaseReplaced), ("top", top, isTopReplaced)] {
            if isReplaced {
                try await eventually("\(name) is replaced\n\(service.program.output)\(service.program.errors)") {
                    service.program.output.contains("image 3") && service.processes(name).count >= 3
                        && service.processes(name).dropLast().allSatisfy { !service.isAlive($0) }
                }
            } else {
                #expect(service.isAlive(pid), "\(name): \(service.program.output)\(service.program.errors)")
            }
        }
        for load in loads {
            let result = try await load.stop()
            #expect(!isFirst || result.failures == 0, "\(result)\n\(service.program.errors)")
        }
        // They are the program's own again.
        for name in ["top", "base"] {
            let count = service.processes(name).count
            #expect(try await service.order("restart", name, "--wait").code == 0)
            #expect(service.processes(name).count == count + 1)
            kill(try #require(service.processes(name).last), SIGKILL)
            try await eventually("\(name) is restarted") { service.processes(name).count == count + 2 }
        }
        // What those had in hand that crashed is lost.
        service.program.send(.terminate)
        #expect(try await service.program.waitForExit(within: .seconds(60)) == 0)
        #expect(service.program.groupSize == 0)
    }

    @Test(arguments: ["ends", "crashes"]) func `A new program that ends in main has touched none of them`(
        end: String
    ) async throws {
        let service = try await UpgradedProgram()
        let old = Set(service.program.children)
        service.turnOn("new-main-\(end)")
        service.program.send(.user2)
        try await service.waitForLog("upgrade failed: the new program ended")
        try await service.waitForLog("workers of the previous program")
        #expect(old.isSuperset(of: service.processes("base") + service.processes("top")))
        #expect(service.processes("base").count == 1 && service.processes("top").count == 1)
        #expect(service.isAlive(service.processes("base")[0]) && service.isAlive(service.processes("top")[0]))
        service.turnOff("new-main-\(end)")
        try await service.end()
    }

    @Test func `One that the new program has not any more ends when there is no way back, and new ones are started`()
        async throws
    {
        let service = try await UpgradedProgram()
        let top = service.processes("top")[0]
        service.turnOn("new-without-base")
        service.turnOn("new-with-more")
        service.program.send(.user2)
        try await service.program.waitForLine("more is ")
        try await service.waitForLog("on probation")
        try await eventually("base has ended\n\(service.program.errors)") {
            !service.isAlive(service.processes("base")[0]) && !service.isAlive(top)
        }
        #expect(service.processes("top").count == 2 && service.processes("base").count == 1)
        #expect(service.place("base is asked to stop") > service.place("reload: generation 2 serves"))
        try await service.end()
    }

    @Test func `Where the program before comes back, what the new one has left out serves on, and its own ends`()
        async throws
    {
        let service = try await UpgradedProgram(environment: ["PREFORK_PROBATION": "20s"])
        let base = service.processes("base")[0]
        service.turnOn("new-without-base")
        service.turnOn("new-with-more")
        service.program.send(.user2)
        try await service.waitForLog("on probation")
        try await eventually("more is there") { service.processes("more").count == 1 }
        let more = service.processes("more")[0]
        #expect(try await service.order("rollback", "--wait").code == 0, "\(service.program.errors)")
        try await service.waitForLog("workers of the previous program", times: 2)
        try await eventually("more has ended") { !service.isAlive(more) }
        #expect(service.isAlive(base))
        try await eventually("top is the first program's") { service.processes("top").count == 3 }
        try await service.end()
    }

    @Test(arguments: ["new", "old"]) func `An old process that crashes in the middle has a successor all the same`(
        succession: String
    ) async throws {
        let service = try await UpgradedProgram(["succession=\(succession)"])
        service.turnOn("new-wait-base")
        service.program.send(.user2)
        try await eventually("the new base\n\(service.program.errors)") { service.processes("base").count == 2 }
        kill(service.processes("top")[0], SIGKILL)
        try await service.waitForLog("top (pid \(service.processes("top")[0])) killed by SIGKILL")
        service.turnOff("new-wait-base")
        try await eventually("both are new\n\(service.program.errors)") {
            service.processes("top").count == 2 && service.count("top ready") == 2
        }
        try await service.waitForLog("and is on probation")
        try await service.waitForLog("reload: generation 2 serves", times: 2)
        #expect(service.count("rolling back to the previous program") == 0)
        service.turnOn("quiet")
        service.program.send(.terminate)
        #expect(try await service.program.waitForExit(within: .seconds(60)) == 0)
        #expect(service.program.groupSize == 0)
    }

    @Test(arguments: ["new", "old"]) func `A supervisor that is killed in the middle leaves none of them`(
        succession: String
    ) async throws {
        let service = try await UpgradedProgram(["succession=\(succession)"])
        service.turnOn("new-wait-top")
        service.program.send(.user2)
        try await eventually("the new top\n\(service.program.errors)") { service.processes("top").count == 2 }
        service.program.send(.kill)
        _ = try await service.program.waitForExit()
        try await eventually("nothing is left") { service.program.groupSize == 0 }
    }

    @Test func `A new process that never becomes ready fails the upgrade at the boot timeout`() async throws {
        let service = try await UpgradedProgram(
            ["succession=new"], environment: ["PREFORK_BOOT_TIMEOUT": "15s", "PREFORK_PROBATION": "0"])
        let top = service.processes("top")[0]
        service.turnOn("new-hang-top")
        #expect(try await service.order("upgrade", "--wait").code != 0)
        try await service.waitForLog("managed process top was not replaced within the boot timeout")
        try await service.waitForLog("workers of the previous program", times: 2)
        #expect(service.isAlive(top))
        service.turnOff("new-hang-top")
        try await service.end()
    }

    @Test func `A stop in the middle ends old and new ones`() async throws {
        let service = try await UpgradedProgram(["succession=new"])
        service.turnOn("new-wait-top")
        service.program.send(.user2)
        try await eventually("the new top\n\(service.program.errors)") { service.processes("top").count == 2 }
        service.program.send(.terminate)
        #expect(try await service.program.waitForExit(within: .seconds(60)) == 0)
        #expect(service.program.groupSize == 0)
        #expect(service.count("SIGKILL") == 0, "\(service.program.errors)")
    }
}
