terraform {
  required_version = ">= 1.6"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.12"
    }
  }
}

variable "project" {
  description = "Google Cloud project that pays for it."
  type        = string
}

provider "google" {
  project = var.project
  region  = var.region
}
