import Glibc

/// Not in main.swift, whose closures belong to the main actor.
func startThread() {
    var thread = pthread_t()
    pthread_create(
        &thread, nil,
        { _ in
            while true { pause() }
        }, nil)
}
