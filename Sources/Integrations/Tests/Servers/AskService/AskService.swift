// A gRPC service without Protobuf: text in, text out. The server has it, and the test calls it.

import GRPCCore

public enum AskService {
    public static let service = ServiceDescriptor(package: "prefork.interop", service: "Ask")
    public static let ask = MethodDescriptor(service: service, method: "Ask")
}

/// Messages that are UTF-8 text.
public struct TextCoding: MessageSerializer, MessageDeserializer {
    public typealias Message = String

    public init() {}

    public func serialize<Bytes: GRPCContiguousBytes>(_ message: String) throws -> Bytes {
        Bytes(message.utf8)
    }

    public func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> String {
        bytes.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }
}
