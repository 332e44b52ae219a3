// "await subprocess.waitForExit()."

import Prefork

func popen() async throws {
    let process = try await Subprocess(  // guess 6
        ["sh", "-c", "echo $PWD; echo $GREETING; echo the rest"], stdout: .stream,
        cwd: "/", env: ["GREETING": "hello", "PATH": "/usr/bin:/bin"])  // guesses 19 and 20
    let output = process.stdout!
    print(try await output.readLine() ?? "-", try await output.readLine() ?? "-")  // guess 11
    let rest = try await output.readToEnd()  // guess 10
    print(String(decoding: rest, as: UTF8.self), terminator: "")
    let code = try await process.waitForExit(raiseError: false)  // guess 12
    let expected = 0
    print(code == expected, process.pid > 1)  // guesses 13 and 18
}

func signals() async throws {
    let first = try await Subprocess.spawn("sleep", "60", startNewSession: true)  // guesses 7 and 21
    try first.terminate()  // guess 16
    if try await first.waitForExit(raiseError: false) == -15 { print("terminated") }
    let second = try await Subprocess(["sleep", "60"])
    try second.kill()  // guess 17
    switch try await second.waitForExit(raiseError: false) {
    case 0: print("ended by itself")
    case -9: print("killed")
    default: print("?")
    }
}

func runPrograms() async throws {
    let output = try await Subprocess.run("echo", "hi")  // guess 8
    print(output.stdoutText, terminator: "")
    let arguments = ["-c", "exit 3"]
    do {
        _ = try await Subprocess.run(Command("sh", arguments: arguments)).check()  // guess 9
    } catch let error as CalledProcessError {
        print(error.returnCode ?? -1, error.command)  // guesses 14 and 15
    }
}
