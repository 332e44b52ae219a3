// A form, its page, and a decoder that takes what the request's type says.

import Foundation
import Hummingbird

struct FormOrJSONDecoder: RequestDecoder {
    func decode<T: Decodable>(_ type: T.Type, from request: Request, context: some RequestContext) async throws -> T {
        if request.headers[.contentType]?.hasPrefix("application/x-www-form-urlencoded") == true {
            return try await URLEncodedFormDecoder().decode(type, from: request, context: context)
        }
        return try await JSONDecoder().decode(type, from: request, context: context)
    }
}

/// A page, as a response.
struct HTML: ResponseGenerator {
    let text: String

    func response(from request: Request, context: some RequestContext) throws -> Response {
        Response(
            status: .ok, headers: [.contentType: "text/html"], body: .init(byteBuffer: ByteBuffer(string: text)))
    }
}

private struct Person: Decodable {
    let name: String
    let age: Int
}

func addForm(to router: Router<AppContext>) {
    router.get("form") { _, _ in
        HTML(text: #"<form method="post"><input name="name"><input name="age" type="number"><button>Send</button></form>"#)
    }
    router.post("form") { request, context in
        let person = try await request.decode(as: Person.self, context: context)
        return HTML(text: "<p>\(person.name) is \(person.age)</p>")
    }
}
