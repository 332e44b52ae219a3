// Uploads and static files. NIO's thread pool reads and writes them, so this router is made in the worker.

import Foundation
import Hummingbird
import Prefork
import PreforkHummingbird
import SlowRequest

private struct Uploaded: ResponseEncodable {
    let name: String
}

private struct FileController {
    let files = FileIO()
    let folder: String

    func addRoutes(to group: RouterGroup<some RequestContext>) {
        group.post(use: upload)
        group.get(":name", use: download)
    }

    @Sendable func upload(request: Request, context: some RequestContext) async throws -> Uploaded {
        let name = request.headers[.init("File-Name")!] ?? UUID().uuidString
        try await files.writeFile(contents: request.body, path: "\(folder)/\(name)", context: context)
        return Uploaded(name: name)
    }

    @Sendable func download(request: Request, context: some RequestContext) async throws -> Response {
        let name = try context.parameters.require("name")
        let body = try await files.loadFile(path: "\(folder)/\(name)", context: context)
        return Response(status: .ok, headers: [.contentDisposition: "attachment;filename=\"\(name)\""], body: body)
    }
}

func runFiles() -> Never {
    let listener = Listener.orExit(.tcp("127.0.0.1", portArgument))
    let folder = ProcessInfo.processInfo.environment["FOLDER"] ?? "."
    SlowRequest.tell("listening on \(listener.address)")
    ForkRuntime().runAndExit { worker in
        let router = Router()
        router.addMiddleware { FileMiddleware(folder, searchForIndexHtml: true) }
        FileController(folder: folder).addRoutes(to: router.group("files"))
        try await listener.serve(router, in: worker, logger: quietLogger())
    }
}
