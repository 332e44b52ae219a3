// A WebSocket echo of two workers by Node's cluster and ws, with a rolling restart at SIGHUP: handover_echo.js PORT LIBRARY.
// With WORKERS=1 in the environment it is one process, as it stands behind nginx.
const cluster = require("cluster"), http = require("http")
const [port, library] = process.argv.slice(2), { WebSocketServer } = require(library)

function serve() {
  const server = http.createServer((request, response) => response.end("ws"))
  const sockets = new WebSocketServer({ server, perMessageDeflate: false })
  sockets.on("connection", (socket) => socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary })))
  server.listen({ port: +port, host: "127.0.0.1", backlog: 4096 })
  // As ws' documentation closes: each client is told, and the process ends with its last connection.
  const stop = () => {
    server.close(() => process.exit(0))
    sockets.clients.forEach((socket) => socket.close(1001))
    setTimeout(() => process.exit(0), 10000).unref()
  }
  process.on("SIGTERM", stop)
  process.on("message", (word) => word === "stop" && stop())
}

if (process.env.WORKERS === "1" || !cluster.isPrimary) {
  serve()
} else {
  for (let worker = 0; worker < 2; worker++) cluster.fork()
  process.on("SIGHUP", async () => {
    for (const old of Object.values(cluster.workers)) {
      await new Promise((ready) => cluster.fork().once("listening", ready))
      old.send("stop")
    }
  })
  process.on("SIGTERM", () => {
    for (const worker of Object.values(cluster.workers)) worker.kill("SIGKILL")
    process.exit(0)
  })
}
