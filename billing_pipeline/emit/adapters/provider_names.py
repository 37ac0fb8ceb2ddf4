"""One name per provider, that of imported price lists, whatever a convention or a proxy calls it."""

from types import MappingProxyType

_NAMES = MappingProxyType(
    {
        "aws.bedrock": "aws",
        "bedrock": "aws",
        "bedrock_converse": "aws",
        "az.ai.inference": "azure",
        "az.ai.openai": "azure",
        "azure.ai.inference": "azure",
        "azure.ai.openai": "azure",
        "azure_ai": "azure",
        "azure_text": "azure",
        "gcp.gemini": "google",
        "gcp.gen_ai": "google",
        "gcp.vertex_ai": "google",
        "gemini": "google",
        "vertex_ai": "google",
        "vertex_ai_beta": "google",
        "fireworks_ai": "fireworks",
        "mistral_ai": "mistral",
        "moonshot": "moonshotai",
        "text-completion-openai": "openai",
        "together_ai": "together",
        "voyage": "voyageai",
        "x_ai": "x-ai",
        "xai": "x-ai",
    }
)


def provider_name(name: str) -> str:
    """The name that rule books use; a name that is not known stays as it is."""
    return _NAMES.get(name, name)
