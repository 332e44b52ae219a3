// What a program has printed, at a fork.

import PreforkFixtureSupport
import PreforkSystem

/// `full-stdout`: standard output is a pipe that a child has filled. A fork does not wait for its reader, and what was
/// printed before appears once.
func fullStandardOutputScenario(_ arguments: [String]) throws {
    let own = dup(STDOUT_FILENO)
    var ends: [Int32] = [-1, -1]
    require(pipe(&ends) == 0 && dup2(ends[1], STDOUT_FILENO) >= 0, "no pipe")
    close(ends[1])
    print("at the start")
    join(
        try child {
            try setNonBlocking(STDOUT_FILENO)
            let bytes = [UInt8](repeating: 0, count: 4096)
            while write(STDOUT_FILENO, bytes, bytes.count) > 0 {}
            // The flag is of all: who writes waits from now on.
            var off: Int32 = 0
            require(ioctl(STDOUT_FILENO, UInt(FIONBIO), &off) == 0, "blocking")
        })
    print("later")
    alarm(30)
    join(try child { exitChild(code: 0) })
    alarm(0)
    var text: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 1 << 16)
    func take() {
        let count = read(ends[0], &part, part.count)
        require(count > 0, "nothing to read")
        text += part[..<count]
    }
    try setNonBlocking(ends[0])
    take()
    fflush(nil)
    until {
        var status = pollfd(fd: ends[0], events: Int16(POLLIN), revents: 0)
        if poll(&status, 1, 0) == 1 { take() }
        return String(decoding: text.suffix(6), as: UTF8.self) == "later\n"
    }
    require(text.filter { $0 == UInt8(ascii: "\n") }.count == 2, "printed more than once")
    require(String(decoding: text.prefix(13), as: UTF8.self) == "at the start\n", "the start comes later")
    dup2(own, STDOUT_FILENO)
    say("printed once")
}
