// A pool of workers.

import Prefork

func runtime() throws {
    var runtime = ForkRuntime(workers: 2, maxRestarts: 3)  // guess 3
    print("at most \(runtime.maxRestarts)")
    runtime.maxRestarts = 5  // guess 4
    try runtime.run { worker in
        print("worker \(worker.taskID)")
    }
    print("over")
}

func server() throws {
    let listener = try Listener("127.0.0.1:0")
    let count = 4
    let runtime = ForkRuntime(workers: count)
    print(runtime.workers == ForkRuntime(workers: 4).workers)  // guess 5
    let summary = try runtime.run { worker in
        let serving = Task {
            try await listener.serve { connection in
                while let line = try await connection.reader.readLine() {
                    try await connection.writer.write("\(worker.taskID): \(line)\n")
                }
            }
        }
        serving.cancel()
    }
    print(summary.outcome)
}
