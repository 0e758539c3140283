//! Lines for who may call: keys, organizations, places, permissions.

use super::table::{Line, Place, line};
use crate::failure::{Kind, Scope};
use crate::words::{Phrase, phrases};

/// Credentials and permissions, from what is said most exactly to bare statuses.
pub(super) const LINES: &[Line] = &[
    // Before permissions: OpenAI says "Not allowed to GET on …" (raw API, read 2026-11).
    line(Kind::MethodNotAllowed, Scope::Request).at(Place::Status(405)),
    // Moonshot: "Not found the model x or Permission denied" (platform errors page, read 2026-11).
    line(Kind::ModelNotFound, Scope::Model).says(&phrases(["not found the model"])),
    // The caller's place. OpenAI guide; Gemini "User location is not supported"; Bedrock and
    // Anthropic "unsupported countries", read 2026-11. Cloud regions of a model are not meant.
    line(Kind::UnsupportedRegion, Scope::Region)
        .named(&["unsupported_country*", "unsupported_region", "*_region_not_supported", "country_blocked"])
        .says(&phrases([
            "country region or territory",
            "user location is not supported",
            "unsupported country|countries|territory",
            "your country|region|location|territory .. not|isnt",
            "not|isnt .. available|supported|allowed|offered .. your|this country|region|location|territory",
            "countries regions or territories",
            "restricted|blocked|prohibited .. your country|region|location",
            "地区不支持",
            "所在地区",
            "地区 .. 不支持",
            "国家 .. 不支持",
            "地区 .. 不可用",
            "国家或地区",
        ])),
    // The caller's address. OpenAI ip_not_authorized; Azure network rules; Google key
    // restrictions; relays' allow-lists, read 2026-11.
    line(Kind::IpNotAuthorized, Scope::Key)
        .named(&["ip_not_authorized", "ip_not_allowed", "API_KEY_IP_ADDRESS_BLOCKED", "ip_blocked"])
        .says(&phrases([
            "ip|ips address? .. not|isnt .. authorized|allowed|permitted|whitelist*|allowlist*|list",
            "ip is not|blocked|banned|restricted",
            "your|client|source ip .. not|blocked|banned|denied|restricted|forbidden",
            "ip address .. blocked|banned|denied|restricted|violates",
            "ip allowlist|whitelist",
            "virtual network",
            "private endpoint",
            "public|network access is disabled",
            "network|firewall rules",
            "白名单",
        ])),
    // Membership. OpenAI texts (guide; foundry-dev-tools#262; aider#3717), read 2026-11.
    line(Kind::NotOrganizationMember, Scope::Key)
        .named(&[
            "mismatched_organization",
            "mismatched_project",
            "invalid_organization",
            "invalid_project",
            "not_organization_member",
            "organization_not_found",
            "project_not_found",
        ])
        .says(&phrases([
            "member of an organization|org|project|team",
            "not .. member|belong .. organization|org|project|team|workspace",
            "no such organization|project",
            "organization header should match",
            "openai organization|project header",
            "invalid organization|project id",
        ])),
    // "Invalid or expired" names no cause for sure; a wrong key is the commoner one.
    line(Kind::IncorrectApiKey, Scope::Key)
        .says(&phrases(["invalid|incorrect or|and expired|revoked", "expired or invalid", "invalid expired or"])),
    line(Kind::ExpiredApiKey, Scope::Key)
        .named(&[
            "expired_key",
            "expired_api_key",
            "api_key_expired",
            "key_expired",
            "token_expired",
            "ExpiredToken*",
            "expired_token",
            "AuthenticationExpired",
        ])
        .says(&phrases([
            "key|token|jwt|credential|credentials|session|secret|signature .. expired",
            "expired .. key|token|jwt|credential|credentials",
            "令牌已过期",
            "密钥已过期",
            "已过期",
        ]))
        .unless(&phrases(["container|file|response|batch|upload .. expired", "conversation .. expired"])),
    line(Kind::RevokedApiKey, Scope::Key)
        .named(&[
            "revoked_api_key",
            "key_revoked",
            "account_deactivated",
            "account_disabled",
            "user_deactivated",
            "deactivated*",
            "CONSUMER_SUSPENDED",
            "account_suspended",
            "api_key_disabled",
            "key_disabled",
            "1112",
        ])
        .says(&phrases([
            "key|token|account|user|credential|consumer .. revoked|deactivated|banned|blocked|suspended|leaked|compromised|terminated",
            "key|token|account|user .. deleted|disabled",
            "revoked|deactivated|disabled|suspended|blocked|leaked .. key|token|account",
            "令牌已被禁用",
            "令牌状态不可用",
            "已被封禁",
            "账户已被",
            "账号已被",
        ]))
        .unless(&phrases([
            "model|tool|feature|file|authentication .. disabled",
            "api disabled|is|has .. disabled",
            "organization has been",
        ])),
    // Anthropic and Groq restrict a whole organization with a 400 (threads, read 2026-11).
    line(Kind::PermissionDenied, Scope::Key)
        .named(&["organization_restricted", "SERVICE_DISABLED", "SERVICE_BLOCKED"])
        .says(&phrases([
            "organization|org|workspace|project .. disabled|restricted|suspended|deactivated|archived",
            "api has not been used",
            "missing scopes|scope",
            "insufficient permission*|privilege*|scope*|authentication scopes",
        ])),
    // Models that exist and are not for this key. OpenAI projects and verification; Groq terms and
    // blocks; Bedrock; LiteLLM *_model_access_denied; new-api; read 2026-11.
    line(Kind::ModelAccessDenied, Scope::Key)
        .named(&[
            "*_model_access_denied",
            "model_access_denied",
            "model_permission*",
            "model_terms_required",
            "ModelNotOpen",
            "model_not_allowed",
            "no_model_access",
        ])
        .says(&phrases([
            "not|no|dont|doesnt|cannot have? access to .. model*",
            "access to|for .. model .. denied|restricted|gated|required",
            "access .. gated",
            "gated .. model|repo|repository",
            "verified to use the model",
            "not|isnt authorized|allowed|permitted|entitled to access|use|invoke .. model",
            "not .. allowed .. access|use .. model",
            "key|team|user|project not allowed .. model",
            "model .. blocked|restricted|not enabled|not activated at|for|by|in .. organization|project|account|key",
            "model .. not .. enabled|activated|allowed|available .. your|this account|organization|project|key|plan|tier|subscription|team|group",
            "model requires|needs .. plan|tier|subscription|approval|terms|agreement",
            "model use case .. not",
            "use case details|form .. submitted|before",
            "访问模型",
            "无权使用模型",
            "无权访问",
        ]))
        .unless(&phrases(["does|do not exist or", "doesnt|dont exist or", "not found or", "not exist"])),
    // "Does not exist or you do not have access": which of the two is not said; the name is the
    // likelier fault.
    line(Kind::ModelNotFound, Scope::Model)
        .named(&["model_not_found", "DeploymentNotFound"])
        .says(&phrases(["model|models|deployment .. not exist or", "model|models|deployment .. not found or"])),
    // A wrong key named as such. OpenAI, Google, Anthropic, Azure, AWS, DashScope, DeepSeek,
    // Zhipu, MiniMax, LiteLLM, one-api; read 2026-11.
    line(Kind::IncorrectApiKey, Scope::Key)
        .named(&[
            "invalid_api_key",
            "InvalidApiKey",
            "incorrect_api_key*",
            "invalid_key",
            "API_KEY_INVALID",
            "api_key_not_found",
            "token_not_found_in_db",
            "UnrecognizedClientException",
            "AuthFailure*",
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            "InvalidClientTokenId",
            "IncompleteSignatureException",
            "invalid_token",
            "invalid_access_token",
            "status_code.1004",
            "status_code.2049",
            "error_code.110",
        ])
        .says(&phrases([
            "incorrect|invalid|wrong|bad|unknown|malformed api? key|keys|token|apikey",
            "incorrect|invalid|wrong|unknown .. api key",
            "invalid|incorrect subscription|access|bearer|auth|authentication|security? key|token",
            "invalid x api key",
            "api key not valid|found|recognized|exist*",
            "api|access|subscription|secret|your|bearer key|token is|was|are? valid|invalid|incorrect|wrong",
            "api|access|subscription|secret|your|bearer key|token is|was|are? not valid|recognized|found|correct",
            "key|token .. is|was|seems|looks invalid|incorrect|wrong|malformed",
            "key|token .. could not be|not found|recognized|verified",
            "no such user",
            "user not found",
            "signature .. does not match",
            "无效的令牌",
            "密钥 .. 无效",
            "令牌 .. 无效",
            "key 无效",
            "无效的api",
            "密钥错误",
            "密钥无效",
            "令牌无效",
            "api key 错误",
            "身份验证失败",
        ]))
        .unless(&phrases(["page|continuation|next token", "stop token", "unexpected token", "token count", "max token*", "logit*"])),
    // No key, or nothing said but that it failed.
    line(Kind::InvalidAuthentication, Scope::Key)
        .named(&[
            "invalid_authentication*",
            "authentication_required",
            "AuthenticationTypeDisabled",
            "missing_api_key",
            "no_api_key",
            "api_key_required",
            "unauthenticated",
            "unauthorized",
            "CREDENTIALS_MISSING",
            "MissingAuthenticationToken*",
            "missing_authorization*",
            "authorization_required",
            "login_required",
            "not_authenticated",
        ])
        .says(&phrases([
            "didnt provide an|a api? key|token",
            "no|missing|without|provide|supply|requires .. api key",
            "no|missing|without|provide|include .. subscription|access|bearer|security|auth key|token",
            "authentication .. disabled",
            "api|access|subscription key missing|absent|empty|malformed",
            "no|missing .. auth|authentication|authorization|bearer|credentials",
            "api key .. required|missing|empty|not provided|not set|must be",
            "authorization header|token|key .. required|missing|malformed|empty|invalid",
            "authentication|authorization is? required|failed|missing|fails",
            "authentication .. credential*",
            "invalid|bad authentication|authorization|credential*|username",
            "unregistered callers",
            "could not .. authenticate|validate credentials",
            "not authenticated",
            "unauthenticated",
            "unauthorized",
            "log|sign in|login required",
            "未提供令牌",
            "未提供api",
            "未登录",
            "鉴权失败",
            "认证失败",
        ]))
        .unless(&phrases(["not|un authorized to", "permission*"])),
    // Content refused with a 403 belongs to the policy lines below this group.
    line(Kind::PermissionDenied, Scope::Key)
        .named(&[
            "permission_denied",
            "permission_error",
            "insufficient_permissions",
            "missing_scope",
            "access_denied",
            "AccessDeniedException",
            "access_terminated_error",
            "operation_not_permitted",
            "FORBIDDEN",
            "1220",
        ])
        .says(&phrases([
            "permission denied",
            "permission*|access .. denied",
            "not|no|lack|lacks|without .. permission|permissions|privilege*|rights",
            "not authorized|allowed|permitted to",
            "not have access",
            "no access to",
            "access forbidden",
            "is forbidden",
            "没有权限",
            "无权限",
            "权限不足",
        ]))
        .unless(CONTENT),
    // Features that a plan, a tier or a verification opens. OpenAI verification of organizations;
    // Anthropic betas and credentials tied to one product, read 2026-11.
    line(Kind::PermissionDenied, Scope::Key).says(&phrases([
        "organization|account|identity|project must be verified",
        "verify your? organization|identity|account",
        "only|exclusively authorized|allowed|permitted|valid|intended for|to|with",
        "not|isnt .. available|enabled|included|offered .. your|this subscription|plan|tier|account|organization",
    ])),
    line(Kind::InvalidAuthentication, Scope::Key).at(Place::Status(401)),
    line(Kind::InvalidAuthentication, Scope::Key).at(Place::Status(407)),
];

/// Words of a content refusal: a 403 that is about the text and not about the key.
const CONTENT: &[Phrase] = &phrases([
    "moderation",
    "flagged",
    "content",
    "guardrail*",
    "unsafe",
    "safety",
    "prompt",
    "image",
    "parameter",
    "argument",
]);
