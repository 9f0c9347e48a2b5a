package dev.baton.app;

import dev.baton.model.ModelException;
import dev.baton.model.tokenizer.Tokenizer;
import dev.baton.serve.ServeException;
import dev.baton.serve.TextCodec;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The model's tokenizer and chat template, as the server asks for them. */
final class TokenizerCodec implements TextCodec {
    private final @Nullable Tokenizer tokenizer;
    private final @Nullable ChatTemplates template;

    /**
     * @param tokenizer null when the server takes ids alone
     * @param template null when the model has none
     */
    TokenizerCodec(@Nullable Tokenizer tokenizer, @Nullable ChatTemplates template) {
        this.tokenizer = tokenizer;
        this.template = template;
    }

    @Override
    public int[] encode(String text, boolean special) {
        return tokenizer().encode(text, special);
    }

    @Override
    public String decode(int[] ids, boolean skipSpecial) {
        return tokenizer().decode(ids, skipSpecial);
    }

    @Override
    public String text(int id) {
        return tokenizer == null ? "" : tokenizer.decode(new int[] {id}, false);
    }

    @Override
    public byte[] bytes(int id) {
        return tokenizer == null ? new byte[0] : tokenizer.tokenBytes(id);
    }

    @Override
    public String renderChat(List<Map<String, Object>> messages, boolean continueFinal, Map<String, Object> arguments) {
        if (template == null) {
            throw new ServeException(
                    ServeException.Code.BAD_REQUEST,
                    "The model has no chat template; use /v1/completions, or start the server with --chat-template FILE.");
        }
        try {
            return template.render(messages, continueFinal, arguments);
        } catch (ModelException e) {
            throw new ServeException(ServeException.Code.BAD_REQUEST, e.getMessage());
        }
    }

    private Tokenizer tokenizer() {
        if (tokenizer == null) {
            throw new ServeException(
                    ServeException.Code.BAD_REQUEST, "The server runs without a tokenizer: send input_ids, not text.");
        }
        return tokenizer;
    }
}
