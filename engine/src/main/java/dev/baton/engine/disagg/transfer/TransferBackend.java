package dev.baton.engine.disagg.transfer;

import dev.baton.engine.EngineException;
import java.util.Locale;

/** How pages travel: the values of {@code --disaggregation-transfer-backend}. */
public enum TransferBackend {
    /** As SHM where both servers are on one host and their devices reach each other, TCP elsewhere. */
    AUTO,
    /** The prefill server writes into the decode server's pool, shared or device memory; both on one host. */
    SHM,
    /** Pages over the socket. */
    TCP,
    /** Nothing travels: every transfer succeeds at once. For warm-up and tests. */
    FAKE;

    /** A value and whether it was the name of a backend of SGLang's that stands for {@link #AUTO} here. */
    public record Choice(TransferBackend backend, boolean alias) {}

    /**
     * @throws EngineException CONFIGURATION for an unknown name
     */
    public static Choice parse(String name) {
        return switch (name.toLowerCase(Locale.ROOT)) {
            case "auto" -> new Choice(AUTO, false);
            case "shm" -> new Choice(SHM, false);
            case "tcp" -> new Choice(TCP, false);
            case "fake" -> new Choice(FAKE, false);
            case "mooncake", "nixl" -> new Choice(AUTO, true);
            default ->
                throw new EngineException(
                        EngineException.Code.CONFIGURATION,
                        "--disaggregation-transfer-backend must be one of auto, shm, tcp, fake (mooncake and nixl stand"
                                + " for auto), got " + name);
        };
    }
}
