// The steps of a lease, each of which the server does as one.

#if Valkey
    extension Script {
        /// Takes the lease for a due time, if no other service has it and none has begun that due time.
        ///
        /// KEYS: the lease, the last token, the due times that were begun (a sorted set), and which service has begun
        /// each (a hash). ARGV: the due time in milliseconds since 1970 or nothing, the service, the lease's life in
        /// milliseconds. Returns {1, token}, {0}, or {2}: another service has the lease, and this one has the due time.
        ///
        /// A due time that comes while a service has the lease is that service's: its misfire policy says what becomes
        /// of it. A service that asks again gets the lease again: its process was killed, or an answer was lost. The
        /// last 1,000 due times are remembered, and one before them counts as begun.
        ///
        /// A token is the server's clock in microseconds, or one more than the last token, whichever is more. So tokens
        /// grow also on a server that has lost its memory, as long as its clock is not set back: no server runs this
        /// script once for each microsecond, so the last token never gets ahead of the clock. (In milliseconds it does.)
        /// Lua's numbers are exact up to 2^53, which are the microseconds until the year 2255.
        static let takeLease = Script(
            name: "takeLease",
            text: """
                local due, owner = ARGV[1], ARGV[2]
                local value = redis.call('GET', KEYS[1])
                local holder = value and string.match(value, '^%d+ (.*)$') or owner
                if due ~= '' then
                    local whose = redis.call('HGET', KEYS[4], due)
                    if whose and whose ~= owner then return {0} end
                    if whose and holder ~= owner then return {2} end
                    if not whose then
                        if redis.call('ZCARD', KEYS[3]) >= 1000 then
                            local oldest = redis.call('ZRANGE', KEYS[3], 0, 0)[1]
                            if tonumber(due) <= tonumber(oldest) then return {0} end
                            redis.call('ZREM', KEYS[3], oldest)
                            redis.call('HDEL', KEYS[4], oldest)
                        end
                        redis.call('ZADD', KEYS[3], due, due)
                        redis.call('HSET', KEYS[4], due, holder)
                    end
                end
                if holder ~= owner then return {0} end
                local now = redis.call('TIME')
                local clock = tonumber(now[1]) * 1000000 + tonumber(now[2])
                local last = tonumber(redis.call('GET', KEYS[2]) or '0')
                local token = string.format('%.0f', math.max(last + 1, clock))
                redis.call('SET', KEYS[2], token)
                redis.call('SET', KEYS[1], token .. ' ' .. owner, 'PX', ARGV[3])
                return {1, token}
                """)

        /// Extends the life of a lease that is still held. KEYS: the lease. ARGV: its value, its life in milliseconds.
        /// Returns 1 or 0.
        static let renewLease = Script(
            name: "renewLease",
            text: """
                if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
                return redis.call('PEXPIRE', KEYS[1], ARGV[2])
                """)

        /// Gives a lease back that is still held. KEYS: the lease. ARGV: its value. Returns 1 or 0.
        static let releaseLease = Script(
            name: "releaseLease",
            text: """
                if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
                return redis.call('DEL', KEYS[1])
                """)
    }
#endif
