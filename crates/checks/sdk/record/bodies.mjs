// Drives the methods of the official Node SDK that send a body, with parameters as programs send them,
// to be recorded by recorder.py: `BASE=… node bodies.mjs`. The SDK's package brings no suite of its own.
import OpenAI, { toFile } from 'openai';
const c = new OpenAI({ apiKey: 'sk-x', baseURL: process.env.BASE, maxRetries: 0 });
const snd = () => toFile(Buffer.from('bytes of a sound'), 'a.mp3');
const pic = (n = 'a.png') => toFile(Buffer.from('bytes of a picture'), n, { type: 'image/png' });
const tool = { type: 'function', function: { name: 'look_up', description: 'Looks up a word.', parameters: { type: 'object', properties: { word: { type: 'string' } }, required: ['word'] }, strict: true } };
const rtool = { type: 'function', name: 'look_up', description: 'Looks up a word.', parameters: { type: 'object', properties: { word: { type: 'string' } }, required: ['word'], additionalProperties: false }, strict: true };
const schema = { name: 'answer', strict: true, schema: { type: 'object', properties: { a: { type: 'string' } }, required: ['a'], additionalProperties: false } };
const user = (content) => ({ role: 'user', content });
const M = { model: 'gpt-4o' };
const calls = [
 () => c.chat.completions.create({ ...M, messages: [user('Good morning.')] }),
 () => c.chat.completions.create({ ...M, messages: [{ role: 'system', content: 'Be brief.' }, user('Where does the boat go?')], temperature: 0.2, top_p: 0.9, max_tokens: 200, n: 2, stop: ['END'], presence_penalty: 0.1, frequency_penalty: -0.1, seed: 7, user: 'u-1', logit_bias: { 50256: -100 }, logprobs: true, top_logprobs: 3 }),
 () => c.chat.completions.create({ ...M, stream: true, stream_options: { include_usage: true }, messages: [user('Tell it slowly.')] }),
 () => c.chat.completions.create({ ...M, messages: [user([{ type: 'text', text: 'What is on it?' }, { type: 'image_url', image_url: { url: 'https://pics.test/a.png', detail: 'low' } }])] }),
 () => c.chat.completions.create({ model: 'gpt-4o-audio-preview', modalities: ['text', 'audio'], audio: { voice: 'ash', format: 'wav' }, messages: [user([{ type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } }])] }),
 () => c.chat.completions.create({ ...M, messages: [user([{ type: 'file', file: { file_id: 'file-1' } }, { type: 'text', text: 'Sum it up.' }])] }),
 () => c.chat.completions.create({ ...M, tools: [tool], tool_choice: 'auto', parallel_tool_calls: false, messages: [user('Look it up.'), { role: 'assistant', content: null, tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'look_up', arguments: '{"word":"boat"}' } }] }, { role: 'tool', tool_call_id: 'call_1', content: 'a vessel' }] }),
 () => c.chat.completions.create({ ...M, tools: [tool], tool_choice: { type: 'function', function: { name: 'look_up' } }, messages: [user('Look it up.')] }),
 () => c.chat.completions.create({ ...M, functions: [{ name: 'f', parameters: { type: 'object', properties: {} } }], function_call: 'auto', messages: [user('x'), { role: 'assistant', content: null, function_call: { name: 'f', arguments: '{}' } }, { role: 'function', name: 'f', content: '1' }] }),
 () => c.chat.completions.create({ ...M, response_format: { type: 'json_schema', json_schema: schema }, messages: [user('As JSON.')] }),
 () => c.chat.completions.create({ ...M, response_format: { type: 'json_object' }, messages: [user('As JSON.')] }),
 () => c.chat.completions.create({ model: 'o3', reasoning_effort: 'low', max_completion_tokens: 500, messages: [{ role: 'developer', content: 'Be brief.' }, user('Think.')], store: true, metadata: { k: 'v' }, service_tier: 'auto' }),
 () => c.chat.completions.create({ ...M, prediction: { type: 'content', content: 'the same text' }, messages: [user('Change a word.')] }),
 () => c.chat.completions.create({ ...M, web_search_options: { search_context_size: 'low', user_location: { type: 'approximate', approximate: { city: 'Bern', country: 'CH' } } }, messages: [user('News?')] }),
 () => c.chat.completions.create({ ...M, messages: [user('x'), { role: 'assistant', content: [{ type: 'text', text: 'y' }], name: 'helper' }, { role: 'assistant', refusal: 'no', content: null }, user('z')] }),
 () => c.chat.completions.create({ ...M, tools: [{ type: 'custom', custom: { name: 'shell', description: 'Runs.', format: { type: 'grammar', grammar: { syntax: 'lark', definition: 'start: "a"' } } } }], messages: [user('x')], verbosity: 'low', prompt_cache_key: 'p', safety_identifier: 's' }),
 () => c.completions.create({ model: 'gpt-3.5-turbo-instruct', prompt: 'Say it.' }),
 () => c.completions.create({ model: 'gpt-3.5-turbo-instruct', prompt: ['One', 'Two'], best_of: 2, echo: true, logprobs: 1, max_tokens: 5, n: 1, stop: '\n', suffix: '.', stream: true, temperature: 0, user: 'u' }),
 () => c.completions.create({ model: 'davinci-002', prompt: [1, 2, 3] }),
 () => c.completions.create({ model: 'davinci-002', prompt: [[1, 2], [3]] }),
 () => c.embeddings.create({ model: 'text-embedding-3-small', input: 'a boat' }),
 () => c.embeddings.create({ model: 'text-embedding-3-large', input: ['a boat', 'a pier'], dimensions: 256, encoding_format: 'float', user: 'u' }),
 () => c.embeddings.create({ model: 'text-embedding-3-small', input: [1, 2, 3] }),
 () => c.embeddings.create({ model: 'text-embedding-3-small', input: [[1, 2], [3]], encoding_format: 'base64' }),
 () => c.moderations.create({ input: 'Is this fine?' }),
 () => c.moderations.create({ model: 'omni-moderation-latest', input: ['One', 'Two'] }),
 () => c.moderations.create({ model: 'omni-moderation-latest', input: [{ type: 'text', text: 'x' }, { type: 'image_url', image_url: { url: 'https://pics.test/a.png' } }] }),
 () => c.images.generate({ prompt: 'a lighthouse' }),
 () => c.images.generate({ model: 'dall-e-3', prompt: 'a lighthouse', n: 1, quality: 'hd', response_format: 'b64_json', size: '1792x1024', style: 'natural', user: 'u' }),
 () => c.images.generate({ model: 'gpt-image-1', prompt: 'a lighthouse', background: 'transparent', moderation: 'low', output_format: 'webp', output_compression: 80, quality: 'high', size: 'auto', stream: true, partial_images: 2 }),
 async () => c.images.edit({ image: await pic(), prompt: 'with a hat' }),
 async () => c.images.edit({ model: 'gpt-image-1', image: [await pic(), await pic('b.png')], mask: await pic('m.png'), prompt: 'with a hat', n: 2, size: '1024x1024', quality: 'low', input_fidelity: 'high', background: 'auto', output_format: 'png' }),
 async () => c.images.createVariation({ image: await pic(), n: 2, size: '256x256', response_format: 'url', user: 'u', model: 'dall-e-2' }),
 () => c.audio.speech.create({ model: 'tts-1', input: 'Good morning.', voice: 'alloy' }),
 () => c.audio.speech.create({ model: 'gpt-4o-mini-tts', input: 'Good morning.', voice: 'coral', instructions: 'calmly', response_format: 'pcm', speed: 1.25, stream_format: 'sse' }),
 async () => c.audio.transcriptions.create({ file: await snd(), model: 'whisper-1' }),
 async () => c.audio.transcriptions.create({ file: await snd(), model: 'whisper-1', response_format: 'verbose_json', timestamp_granularities: ['word', 'segment'], language: 'en', prompt: 'a boat', temperature: 0.1 }),
 async () => c.audio.transcriptions.create({ file: await snd(), model: 'gpt-4o-transcribe', stream: true, include: ['logprobs'], chunking_strategy: { type: 'server_vad', threshold: 0.5 } }),
 async () => c.audio.transcriptions.create({ file: await snd(), model: 'gpt-4o-transcribe-diarize', response_format: 'diarized_json', chunking_strategy: 'auto', known_speaker_names: ['ann'], known_speaker_references: ['data:audio/wav;base64,AAAA'] }),
 async () => c.audio.translations.create({ file: await snd(), model: 'whisper-1', prompt: 'x', response_format: 'json', temperature: 0 }),
 async () => c.files.create({ file: await toFile(Buffer.from('{}\n'), 'a.jsonl'), purpose: 'batch' }),
 async () => c.files.create({ file: await toFile(Buffer.from('{}\n'), 'a.jsonl'), purpose: 'fine-tune', expires_after: { anchor: 'created_at', seconds: 86400 } }),
 () => c.responses.create({ ...M, input: 'Good morning.' }),
 () => c.responses.create({ ...M, input: 'Tell it slowly.', stream: true, stream_options: { include_obfuscation: false }, instructions: 'Be brief.', max_output_tokens: 300, temperature: 1, top_p: 1, metadata: { k: 'v' }, store: false, truncation: 'auto', user: 'u', background: false, parallel_tool_calls: true, include: ['reasoning.encrypted_content'], service_tier: 'flex' }),
 () => c.responses.create({ model: 'o4-mini', input: [user('Think.'), { role: 'developer', content: 'Be brief.' }], reasoning: { effort: 'medium', summary: 'auto' }, text: { verbosity: 'low' } }),
 () => c.responses.create({ ...M, input: [{ role: 'user', content: [{ type: 'input_text', text: 'What is it?' }, { type: 'input_image', image_url: 'https://pics.test/a.png', detail: 'auto' }, { type: 'input_file', file_id: 'file-1' }] }] }),
 () => c.responses.create({ ...M, tools: [rtool], tool_choice: 'required', input: [user('Look.'), { type: 'function_call', call_id: 'c1', name: 'look_up', arguments: '{}' }, { type: 'function_call_output', call_id: 'c1', output: 'a vessel' }] }),
 () => c.responses.create({ ...M, tools: [{ type: 'web_search', search_context_size: 'medium' }, { type: 'file_search', vector_store_ids: ['vs_1'], max_num_results: 5 }, { type: 'code_interpreter', container: { type: 'auto' } }, { type: 'image_generation' }, { type: 'mcp', server_label: 'docs', server_url: 'https://mcp.test', require_approval: 'never' }], input: 'Find it.' }),
 () => c.responses.create({ ...M, tools: [{ type: 'computer_use_preview', display_width: 800, display_height: 600, environment: 'browser' }], input: 'Click it.', truncation: 'auto' }),
 () => c.responses.create({ ...M, previous_response_id: 'resp_1', input: 'And then?' }),
 () => c.responses.create({ ...M, conversation: 'conv_1', input: 'And then?' }),
 () => c.responses.create({ prompt: { id: 'pmpt_1', version: '2', variables: { name: 'ann' } } }),
 () => c.responses.create({ ...M, input: 'As JSON.', text: { format: { type: 'json_schema', ...schema } } }),
 () => c.responses.create({ ...M, input: [{ type: 'message', role: 'assistant', id: 'msg_1', status: 'completed', content: [{ type: 'output_text', text: 'x', annotations: [] }] }, { type: 'reasoning', id: 'rs_1', summary: [] }, { type: 'item_reference', id: 'msg_2' }, user('Go on.')] }),
 () => c.beta.assistants.create({ ...M }),
 () => c.beta.assistants.create({ ...M, name: 'Helper', description: 'Helps.', instructions: 'Be brief.', tools: [{ type: 'code_interpreter' }, { type: 'file_search' }, tool], tool_resources: { file_search: { vector_store_ids: ['vs_1'] } }, metadata: { k: 'v' }, temperature: 0.5, top_p: 0.5, response_format: { type: 'json_object' } }),
 () => c.beta.assistants.update('asst_1', { name: 'Other', tools: [{ type: 'file_search' }] }),
 () => c.beta.threads.create(),
 () => c.beta.threads.create({ messages: [user('Good morning.')], metadata: { k: 'v' } }),
 () => c.beta.threads.update('thread_1', { metadata: { k: 'v' } }),
 () => c.beta.threads.messages.create('thread_1', user('Good morning.')),
 () => c.beta.threads.messages.create('thread_1', { role: 'user', content: [{ type: 'text', text: 'x' }, { type: 'image_file', image_file: { file_id: 'file-1' } }], attachments: [{ file_id: 'file-2', tools: [{ type: 'file_search' }] }] }),
 () => c.beta.threads.runs.create('thread_1', { assistant_id: 'asst_1' }),
 () => c.beta.threads.runs.create('thread_1', { assistant_id: 'asst_1', stream: true, instructions: 'x', additional_instructions: 'y', additional_messages: [user('z')], max_prompt_tokens: 1000, max_completion_tokens: 500, model: 'gpt-4o', parallel_tool_calls: true, temperature: 1, tool_choice: 'auto', tools: [tool], truncation_strategy: { type: 'last_messages', last_messages: 5 }, response_format: 'auto', metadata: { k: 'v' } }),
 () => c.beta.threads.createAndRun({ assistant_id: 'asst_1', thread: { messages: [user('Good morning.')] }, stream: true }),
 () => c.beta.threads.runs.submitToolOutputs('run_1', { thread_id: 'thread_1', tool_outputs: [{ tool_call_id: 'call_1', output: '42' }], stream: true }),
];
let n = 0;
for (const call of calls) { try { const r = await call(); r?.controller?.abort?.(); n++; } catch (e) { if (!(e.status >= 200)) console.log(e.message.slice(0, 80)); } }
console.log(n, 'of', calls.length);
process.exit(0);
