// Lines of the access log, one for each request that was answered or refused.

import PreforkSystem

/// What the access log says of the present request, beside its head.
struct ServedRequest {
    /// 0 until a response has begun.
    var status = 0
    var bodyBytes = 0
}

extension HTTPConnection {
    /// Writes the present request's line. A request without a response, because the connection broke, has status 0.
    ///
    /// The response may still be on its way into the socket: what a client has really received is never known.
    func logServed() {
        guard let served else { return }
        self.served = nil
        let storage = requestStorage
        storage.bytes.withUnsafeBytes { bytes in
            let head = storage.head
            var entry = AccessLogEntry(
                client: clientAddress, method: bytes.part(head.label.lowerBound..<max(0, head.target.lowerBound - 1)),
                target: bytes.part(head.target), isHTTP11: head.flags.contains(.isHTTP11), status: served.status,
                bodyBytes: served.bodyBytes, duration: .now - began)
            for field in head.fields {
                let name = bytes.part(field.name)
                if name.spellInAnyCase("referer") { entry.referer = bytes.part(field.value) }
                if name.spellInAnyCase("user-agent") { entry.userAgent = bytes.part(field.value) }
            }
            server.log(entry)
        }
    }

    /// Writes the line of what is no request: its bytes are not shown.
    func logRefused(_ status: HTTPStatus, bodyBytes: Int) {
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        server.log(
            AccessLogEntry(
                client: clientAddress, method: none, target: none, isHTTP11: true, status: status.code,
                bodyBytes: bodyBytes, duration: .zero))
    }
}

extension HTTPServer {
    fileprivate func log(_ entry: AccessLogEntry) {
        accessLog?.append(entry)
        accessLog?.bytes.withUnsafeBytes { AccessLog.append($0) }
        accessLog?.removeAll()
    }
}
