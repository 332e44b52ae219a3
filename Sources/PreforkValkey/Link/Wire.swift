// One connection: hiredis's buffers and parser on a socket of ours. The one file that calls hiredis.

#if Valkey
    import CHiredis
    import PreforkSystem

    /// Commands out, replies in, on a connected socket. On its loop's thread only.
    ///
    /// Below hiredis's asynchronous context, which a server can abort (see `chiredis.h`), and with a socket that we
    /// have opened: close-on-exec, and with an errno when it cannot be connected.
    final class Wire {
        let fd: Int32
        private let context: UnsafeMutablePointer<redisContext>
        private let functions: UnsafeMutablePointer<redisReplyObjectFunctions>
        private let isEncrypted: Bool
        /// Something was appended that the kernel has not taken yet.
        private(set) var hasUnsent = false
        /// What redisBufferRead reads at once.
        private static let chunkSize = 16 * 1024
        /// A peer that sends more than this before one reply is complete is not a Valkey server: strings have 512 MiB
        /// at most.
        private static let maximumReply = 1 << 30
        private static let memory = ValkeyError.Code.badReply("no memory for it")

        /// Takes over `fd`, which is closed also when this throws.
        init(owning fd: Int32, settings: ValkeySettings) throws(ValkeyError) {
            functions = .allocate(capacity: 1)
            guard let context = chiredis_adopt(fd, functions) else {
                functions.deallocate()
                closeDescriptor(fd)
                throw ValkeyError(Self.memory)
            }
            self.fd = fd
            self.context = context
            isEncrypted = settings.tls != nil
            guard let tls = settings.tls else { return }
            // From here on, deinit frees the context.
            try startTLS(on: UnsafeMutableRawPointer(context), tls, address: settings.address)
        }

        deinit {
            // Closes the socket, too. The functions are its reader's until then.
            redisFree(context)
            functions.deallocate()
        }

        func append(_ command: Command) throws(ValkeyError) {
            let status = command.bytes.withUnsafeBytes { bytes -> Int32 in
                // hiredis copies the words out of `bytes`, which it gets as pointers into it. An empty array has no
                // address, but a command is never empty.
                var start = bytes.baseAddress!.assumingMemoryBound(to: CChar.self)
                var words: [UnsafePointer<CChar>?] = []
                for length in command.lengths {
                    words.append(start)
                    start += length
                }
                return redisAppendCommandArgv(context, Int32(words.count), &words, command.lengths.map { $0 })
            }
            guard status == REDIS_OK else { throw failure }
            hasUnsent = true
        }

        /// Writes what the kernel takes.
        func flush() throws(ValkeyError) {
            while hasUnsent {
                var done: Int32 = 0
                let before = unsentBytes
                if isEncrypted { forgetTLSErrors() }
                guard redisBufferWrite(context, &done) == REDIS_OK else { throw failure }
                hasUnsent = done == 0
                if unsentBytes == before { return }
            }
        }

        /// Reads available bytes and calls `body` with each complete reply.
        ///
        /// - Parameter isOver: the other side has finished: reads on until the end itself.
        /// - Returns: whether there is more, which another turn may read.
        func receive(isOver: Bool, _ body: (Reply) throws(ValkeyError) -> Void) throws(ValkeyError) -> Bool {
            for _ in 0..<16 {
                let before = context.pointee.reader.pointee.len
                if isEncrypted { forgetTLSErrors() }
                let isAlive = redisBufferRead(context) == REDIS_OK
                let count = Int(context.pointee.reader.pointee.len) - Int(before)
                while let reply = try nextReply() { try body(reply) }
                guard isAlive else { throw failure }
                if context.pointee.reader.pointee.len > Self.maximumReply {
                    throw ValkeyError(.badReply("more than \(Self.maximumReply) bytes"))
                }
                // The kernel had no more: the next byte causes a new edge (epoll(7), question 9). OpenSSL may have.
                if count == 0 || count < Self.chunkSize && !isOver && !isEncrypted { return false }
            }
            return true
        }

        private var unsentBytes: Int { context.pointee.obuf.map { sdslen($0) } ?? 0 }

        private func nextReply() throws(ValkeyError) -> Reply? {
            var object: UnsafeMutableRawPointer?
            guard redisReaderGetReply(context.pointee.reader, &object) == REDIS_OK else {
                throw failureOfReader
            }
            guard let object else { return nil }
            // Owned by this function from here on. `Reply` copies everything out of it.
            defer { freeReplyObject(object) }
            return Reply(object.assumingMemoryBound(to: redisReply.self).pointee)
        }

        /// Why hiredis gave up.
        private var failure: ValkeyError {
            switch context.pointee.err {
            case REDIS_ERR_PROTOCOL: ValkeyError(.badReply(Self.text(context.pointee.errstr)))
            case REDIS_ERR_OOM: ValkeyError(Self.memory)
            default: ValkeyError(.connectionLost)
            }
        }

        private var failureOfReader: ValkeyError {
            let reader = context.pointee.reader.pointee
            return ValkeyError(reader.err == REDIS_ERR_OOM ? Self.memory : .badReply(Self.text(reader.errstr)))
        }

        /// A C string in an array inside a structure.
        private static func text<Characters>(_ characters: Characters) -> String {
            withUnsafeBytes(of: characters) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
    }

    extension Reply {
        /// Copies hiredis's reply, which nests nine levels deep at most.
        fileprivate init(_ reply: redisReply) {
            switch reply.type {
            case REDIS_REPLY_NIL: self = .null
            case REDIS_REPLY_INTEGER: self = .integer(reply.integer)
            case REDIS_REPLY_STRING: self = .bytes(Array(Self.content(reply)))
            case REDIS_REPLY_STATUS: self = .status(String(decoding: Self.content(reply), as: UTF8.self))
            case REDIS_REPLY_ERROR: self = .error(String(decoding: Self.content(reply), as: UTF8.self))
            case REDIS_REPLY_ARRAY:
                let elements = UnsafeBufferPointer(start: reply.element, count: Int(reply.elements))
                self = .array(elements.map { element in element.map { Reply($0.pointee) } ?? .null })
            default: self = .unknown(reply.type)
            }
        }

        /// Valid as long as the reply.
        private static func content(_ reply: redisReply) -> UnsafeRawBufferPointer {
            UnsafeRawBufferPointer(start: reply.str, count: reply.str == nil ? 0 : Int(reply.len))
        }
    }
#endif
