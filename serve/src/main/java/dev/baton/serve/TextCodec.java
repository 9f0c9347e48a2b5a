package dev.baton.serve;

import dev.baton.protocol.reply.TokenTexts;
import java.util.List;
import java.util.Map;

/** Text to tokens and back, as the server needs it. Safe for many threads. */
public interface TextCodec extends TokenTexts {
    /**
     * @param special begin and end tokens are added as the tokenizer's post-processor says
     */
    int[] encode(String text, boolean special);

    /** Text of ids, whole characters. */
    String decode(int[] ids, boolean skipSpecial);

    /**
     * The prompt that the model's chat template makes.
     *
     * @param messages {@code role}, {@code content} (text or parts) and what else the client put there
     * @param continueFinal the last message is the beginning of the answer: nothing closes it
     * @param arguments more variables for the template
     * @throws ServeException BAD_REQUEST when there is no template or it refuses the messages
     */
    String renderChat(List<Map<String, Object>> messages, boolean continueFinal, Map<String, Object> arguments);
}
